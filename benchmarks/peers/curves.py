"""Does rsbench train as a plain PyTorch loop does?  ``baseline-cnn`` by its author's recipe, both ways, epoch by epoch.

The loop below shares no code with rsbench: torchvision's ``ImageFolder`` and transforms, ``random_split``, a DataLoader,
the network written out.  What is compared is the mean training loss and the validation accuracy after each epoch, over
several seeds: their difference must be within what seeds make of each.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import torch
import typer
from scipy import stats
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, random_split
from torchvision import transforms
from torchvision.datasets import ImageFolder

SPLIT: Final = 42  # the seed of the author's split, as of the protocol bmta-70-15-15
IMAGENET: Final = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
MEASURES: Final = {"train_loss": "training loss", "val_accuracy": "validation accuracy"}
LEVEL: Final = 0.05

Curves = dict[str, list[dict[str, float]]]  # seed -> of each epoch, what MEASURES names

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def network() -> nn.Sequential:
    """The author's three convolutions, initialized as in their code."""
    layers: list[nn.Module] = []
    for before, width in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(128 * 8 * 8, 512), nn.Dropout(0.5), nn.Linear(512, 10)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.01)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def training_transform() -> transforms.Compose:
    """The recipe's augmentation; ColorJitter draws the order of its parts, and rotation takes the nearest neighbor."""
    return transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomVerticalFlip(),
            transforms.RandomRotation(90),
            transforms.ColorJitter(0.3, 0.3, 0.3, 0.1),
            transforms.GaussianBlur(3, (0.1, 2.0)),
            transforms.ToTensor(),
            transforms.Normalize(**IMAGENET),
        ]
    )


def parts(folder: Path) -> tuple[Dataset[Any], Dataset[Any]]:
    """Return the training and validation images of the author's split, [3, 64, 64] with a label each."""
    plain = transforms.Compose([transforms.ToTensor(), transforms.Normalize(**IMAGENET)])
    every = ImageFolder(str(folder), plain)
    sizes = [int(share * len(every)) for share in (0.7, 0.15)]
    sizes.append(len(every) - sum(sizes))
    train, val, _ = random_split(every, sizes, torch.Generator().manual_seed(SPLIT))
    return Subset(ImageFolder(str(folder), training_transform()), list(train.indices)), val


def fit(folder: Path, seed: int, epochs: int) -> Iterator[dict[str, float]]:
    """Train with one seed; yield what MEASURES names after each epoch."""
    torch.manual_seed(seed)
    train, val = parts(folder)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3, factor=0.5)
    criterion = nn.CrossEntropyLoss()
    for _ in range(epochs):
        model.train()
        total = 0.0
        for images, labels in DataLoader(train, 64, shuffle=True):
            loss = criterion(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        model.eval()
        right, lost = 0, 0.0
        with torch.inference_mode():
            for images, labels in DataLoader(val, 256):
                scores = model(images)
                right += int((scores.argmax(1) == labels).sum())
                lost += criterion(scores, labels).item() * len(labels)
        schedule.step(lost / len(val))  # type: ignore[arg-type]
        yield {"train_loss": total / len(train), "val_accuracy": right / len(val)}  # type: ignore[arg-type]


@app.command()
def loop(
    data: Annotated[Path, typer.Option(help="EuroSAT.zip, or the folder of its class folders.")],
    out: Annotated[Path, typer.Option(help="JSON file of the curves; seeds that are in it are not trained again.")],
    cache: Annotated[Path, typer.Option(help="Folder to extract the archive into.")] = Path("."),
    seeds: Annotated[int, typer.Option(min=2, help="How many seeds, from 0.")] = 5,
    epochs: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Train the plain loop.

    Example: python -m benchmarks.peers.curves loop --data EuroSAT.zip --cache images --out plain.json
    """
    folder = data
    if data.is_file():
        folder = cache / "2750"
        if not folder.exists():
            with zipfile.ZipFile(data) as archive:
                archive.extractall(cache)
    found: Curves = json.loads(out.read_text()) if out.exists() else {}
    for seed in map(str, range(seeds)):
        if len(found.get(seed, ())) < epochs:
            found[seed] = []
            for number, one in enumerate(fit(folder, int(seed), epochs), start=1):
                found[seed].append(one)
                typer.echo(f"seed {seed}, epoch {number}: {one}")
            out.write_text(json.dumps(found, indent=1))


@app.command()
def table(
    plain: Annotated[Path, typer.Option(help="What `loop` wrote.")],
    records: Annotated[Path, typer.Option(help="Folder of rsbench's runs, one a seed.")],
    out: Annotated[Path, typer.Option(help="Markdown file.")],
) -> None:
    """Compare the plain loop with rsbench's runs.

    Example: python -m benchmarks.peers.curves table --plain plain.json --records out --out curves.md
    """
    ours: Curves = {}
    for path in sorted(records.glob("*/record.json")):
        record = json.loads(path.read_text())
        ours[str(record["plan"]["seed"])] = record["train"]["curve"]
    out.write_text(markdown(json.loads(plain.read_text()), ours))


def markdown(plain: Mapping[str, Sequence[Mapping[str, float]]], ours: Mapping[str, Any]) -> str:
    """Return the table: mean and deviation over seeds of each, their difference with its 95 % interval (Welch), and p.

    With so many comparisons one below 5 % is no surprise; Holm's level of the smallest is said.
    """
    epochs = min(len(curve) for curve in (*plain.values(), *ours.values()))
    lines = [
        "| epoch | measure | plain loop | rsbench | difference | 95 % interval | p |",
        "|---|---|---|---|---|---|---|",
    ]
    smallest = 1.0
    for epoch in range(epochs):
        for name, title in MEASURES.items():
            a, b = (np.array([curve[epoch][name] for curve in side.values()]) for side in (plain, ours))
            test = stats.ttest_ind(b, a, equal_var=False)
            low, high = test.confidence_interval()
            smallest = min(smallest, float(test.pvalue))
            sides = " | ".join(f"{one.mean():.4f} ± {one.std(ddof=1):.4f}" for one in (a, b))
            lines.append(
                f"| {epoch + 1} | {title} | {sides} | {b.mean() - a.mean():+.4f} | [{low:+.4f}, {high:+.4f}] "
                f"| {test.pvalue:.3f} |"
            )
    count = epochs * len(MEASURES)
    verdict = "differ" if smallest < LEVEL / count else "cannot be told apart"
    said = f"{len(plain)} seeds of the plain loop, {len(ours)} of rsbench. Smallest of {count} p-values: {smallest:.3f}"
    return "\n".join([*lines, "", f"{said}; by Holm's procedure at 5 % the two {verdict}.", ""])


if __name__ == "__main__":
    app()
