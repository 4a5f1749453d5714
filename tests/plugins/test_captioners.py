"""The captioning systems: words one by one as all at once, learning, and the parts that have formulas of their own."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rsbench_captioners.attributes import adjacency, frequent_words
from rsbench_captioners.csmlf import central, metric_loss
from rsbench_captioners.segments import pool, segment
from rsbench_captioners.specs import MODELS
from rsbench_captioners.structured_attention import regularizers
from rsbench_captioners.word_vectors import word_vectors
from rsbench_timm.encoders import vector_encoder
from torch import nn

from rsbench.specs import load_attribute
from rsbench.tasks.captioning import END, PAD, START, CaptionTargets, token_loss
from rsbench.tasks.context import ModelContext

NETWORKS = [spec.name for spec in MODELS if spec.kind == "network"]
WORDS = "a airport beach cars field forest many of river the trees".split()  # noqa: SIM905
VOCABULARY = ("<pad>", "<start>", "<end>", "<unk>", *WORDS)
# Two images that say the same in both sentences and two that say it in different words.
SENTENCES = np.array(
    [
        [[START, 4, 5, END, PAD, PAD], [START, 4, 5, END, PAD, PAD]],
        [[START, 4, 6, END, PAD, PAD], [START, 4, 6, END, PAD, PAD]],
        [[START, 13, 8, 11, 14, END], [START, 13, 8, 11, 14, END]],
        [[START, 10, 9, 12, END, PAD], [START, 10, 9, 12, END, PAD]],
    ]
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def context(size: int = 64, words: tuple[str, ...] = VOCABULARY, sentences: np.ndarray = SENTENCES) -> ModelContext:
    return ModelContext(
        task="captioning",
        channels=3,
        size=size,
        classes=(),
        vocabulary=words,
        max_length=sentences.shape[2],
        extra={"sentences": sentences},
    )


def build(name: str, about: ModelContext | None = None, **options: object):
    torch.manual_seed(0)
    (spec,) = (m for m in MODELS if m.name == name)
    small = {"backbone": "timm:test_resnet", "weights": "none"} | ({"width": 64} if spec.kind == "network" else {})
    defaults = {k: o.default for k, o in spec.options.items()}
    model = load_attribute(spec.factory)(about or context(), **(defaults | small | options))
    with torch.no_grad():  # timm begins with residual branches multiplied by 0, which no gradient passes
        for name_of, tensor in model.encoder.state_dict().items():
            if tensor.ndim == 1 and name_of.endswith("weight"):
                tensor.fill_(1.0)
    return model


def images(count: int = 4, size: int = 64) -> torch.Tensor:
    """Noise, and another one at a coarse scale, which makes images differ in the mean."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(count, 3, size, size, generator=generator)
    return noise + F.interpolate(2 * torch.randn(count, 3, 2, 2, generator=generator), (size, size))


def tokens() -> torch.Tensor:
    return torch.from_numpy(SENTENCES).flatten(0, 1)


def cross_entropy_of(model: nn.Module, shown: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
    targets = CaptionTargets(said, sentences=2)
    if hasattr(model, "training_loss"):
        return model.training_loss(shown, targets, F.cross_entropy)
    return token_loss(F.cross_entropy, model(shown, said), said)


@torch.no_grad()
def greedy(model: nn.Module, shown: torch.Tensor, length: int) -> torch.Tensor:
    state = model.start(shown)
    word = torch.full((len(shown),), START)
    said = [word]
    for _ in range(length - 1):
        logits, state = model.step(word, state)
        word = torch.where((word == END) | (word == PAD), PAD, logits.argmax(1))
        said.append(word)
    return torch.stack(said, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_give_what_forward_gives_at_the_same_place(name):
    model = build(name).eval()
    shown, said = images(), tokens()
    with torch.no_grad():
        together = model(shown, said)
        state = {k: v.repeat_interleave(2, 0) for k, v in model.start(shown).items()}
        for t in range(said.shape[1]):
            logits, state = model.step(said[:, t], state)
            torch.testing.assert_close(logits, together[:, t], atol=1e-5, rtol=1e-5)
        # later words change nothing before them, and a reordered state goes on as its owner would
        changed = said.clone()
        changed[:, 3:] = 7
        torch.testing.assert_close(model(shown, changed)[:, :3], together[:, :3], atol=1e-5, rtol=1e-5)
        order = torch.tensor([5, 0, 3])
        again, _ = model.step(said[order, 5], {k: v[order] for k, v in _state_before(model, shown, said, 5).items()})
    torch.testing.assert_close(again, together[order, 5], atol=1e-5, rtol=1e-5)
    assert together.shape == (8, 6, len(VOCABULARY))
    assert (together[0] - together[2]).abs().max() > 1e-4  # of another image


@pytest.mark.parametrize("name", NETWORKS)
def test_losses_take_tokens_that_were_cut_to_the_longest(name):
    """A loader gives columns of a longer table, which do not lie side by side in memory."""
    model = build(name).eval()
    padded = torch.cat([tokens(), torch.full((8, 3), PAD)], 1)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        assert torch.equal(cross_entropy_of(model, images(), padded[:, :6]), cross_entropy_of(twin, images(), tokens()))


@pytest.mark.parametrize("name", NETWORKS)
def test_features_serve_in_place_of_images(name):
    model = build(name).eval()
    shown, said = images(), tokens()
    with torch.no_grad():
        features = model.encode(shown)
        assert model.frozen
        assert all(len(f) == len(shown) for f in features)
        torch.testing.assert_close(model(features, said), model(shown, said))
        twin = copy.deepcopy(model)  # a loss moves the baseline of REINFORCE
        assert torch.equal(cross_entropy_of(model, features, said), cross_entropy_of(twin, shown, said))
    assert not build(name, freeze=False).frozen


def _state_before(model, shown, said, t):
    state = {k: v.repeat_interleave(2, 0) for k, v in model.start(shown).items()}
    for i in range(t):
        _, state = model.step(said[:, i], state)
    return state


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_reaches_all_that_is_trained_and_nothing_that_is_frozen(name, freeze):
    model = build(name, freeze=freeze).train()
    frozen = copy.deepcopy(model.encoder.state_dict())
    cross_entropy_of(model, images(), tokens()).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert without == []
    assert any(n.startswith("encoder.") for n, _ in model.named_parameters()) is not freeze
    moved = [n for n, v in model.encoder.state_dict().items() if not torch.equal(v, frozen[n])]
    assert (moved == []) is freeze  # running statistics of BatchNorm


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_images_are_learned_by_heart(name):
    model = build(name).train()
    model.dropout.p = 0.0
    shown, said = images(), tokens()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(160 if name == "googlenet-hard-attention" else 40):
        optimizer.zero_grad()
        cross_entropy_of(model, shown, said).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    assert torch.equal(greedy(model.eval(), shown, said.shape[1]), said[::2])


def test_hard_attention_estimates_the_gradient_of_the_expected_log_likelihood():
    """One word, four places: the mean over samples against the sum over places."""
    about = context(size=32, words=VOCABULARY[:6], sentences=SENTENCES % 6)
    model = build("googlenet-hard-attention", about, width=16).train()
    model.dropout.p = 0.0
    with torch.no_grad():
        model.attention.score.weight *= 4  # far from uniform
        model.project[1].weight *= 2
    shown, said = images(1, 32), torch.tensor([[START, 4]])
    parameter = model.attention.score.weight

    def likelihood_at(place: int) -> float:
        model.choose = lambda weights: torch.full((len(weights),), place)
        with torch.no_grad():
            logits = model(shown, said)
        del model.choose
        return float(logits[0, 0].log_softmax(0)[4])

    with torch.no_grad():
        assert model.start(shown)["keys"].shape[1] == 4
    likelihoods = torch.tensor([likelihood_at(k) for k in range(4)])
    assert likelihoods.std() > 0.05
    state = model.start(shown)
    weights = model.attention(state["h"], state["keys"])[0]
    entropy = -(weights * weights.log()).sum()
    # the entropy's share is exact, not sampled
    (exact,) = torch.autograd.grad(-(weights * likelihoods).sum() - 0.002 * entropy, parameter)

    estimates, repeats = [], 500
    for seed in range(100):
        torch.manual_seed(seed)
        model.baseline.fill_(-1.0)
        targets = CaptionTargets(said.expand(repeats, -1), sentences=repeats)
        (estimate,) = torch.autograd.grad(model.training_loss(shown, targets, F.cross_entropy), parameter)
        estimates.append(estimate)
    found = torch.stack(estimates)
    error = found.std(0) / math.sqrt(len(found))
    assert ((found.mean(0) - exact).abs() < 3 * error).all()
    assert (exact.abs() > 10 * error).any()  # the estimate is sharp enough to tell


def test_baseline_follows_the_log_likelihood_of_a_word():
    model = build("googlenet-hard-attention").train()
    assert model.baseline.item() == pytest.approx(-math.log(len(VOCABULARY)))
    likelihood = torch.tensor([[-1.0, -2.0, -50.0], [-3.0, -50.0, -50.0]])
    kept = torch.tensor([[True, True, False], [True, False, False]])
    weights = torch.full((2, 3, 4), 0.25, requires_grad=True)
    model.baseline.fill_(-1.5)
    loss = model.place_loss(likelihood, weights, torch.zeros(2, 3, dtype=torch.int64), kept)
    assert model.baseline.item() == pytest.approx(0.9 * -1.5 + 0.1 * -2.25)
    # rewards -1.5 and -3 a word: advantages 0 and -1.5; log p = -log 4 for each word
    assert loss.item() == pytest.approx(-(-1.5 * -math.log(4) + 0.002 * 3 * math.log(4)) / 3, rel=1e-5)


def test_hard_attention_samples_in_training_and_is_sure_in_evaluation():
    model = build("googlenet-hard-attention")
    weights = torch.tensor([[0.1, 0.6, 0.3]]).repeat(3000, 1)
    assert model.eval().choose(weights).eq(1).all()
    shares = torch.bincount(model.train().choose(weights), minlength=3) / 3000
    torch.testing.assert_close(shares, weights[0], atol=0.04, rtol=0)


def test_segments_follow_edges_and_their_features_are_means():
    shown = torch.full((2, 3, 96, 96), -1.0)
    shown[0, :, :, 40:] = 1.0  # an edge at 40 of 96, not on the grid of centers
    shown[1, :, 50:] = 1.0
    segments = segment(shown)
    bright = F.interpolate(shown, (48, 48), mode="bilinear", antialias=True)[:, 0]
    for k in range(2):
        for number in segments[k].unique():
            inside = bright[k][segments[k] == number]
            assert (inside > 0.5).float().mean() in (0, 1) or inside.numel() < 70  # all but those along the edge
    assert torch.equal(segments, segment(shown))
    assert 15 <= len(segments[0].unique()) <= 30

    features = torch.randn(2, 5, 48, 48)
    means, valid = pool(features, segments)
    for number in range(30):
        here = segments[1] == number
        assert bool(valid[1, number]) == bool(here.any())
        if here.any():
            torch.testing.assert_close(means[1, number], features[1][:, here].mean(1), atol=1e-5, rtol=1e-4)


def test_pooling_on_a_coarse_map_weighs_places_by_cover():
    segments = torch.zeros(1, 48, 48, dtype=torch.int64)
    segments[:, :, 36:] = 1
    features = torch.tensor([[[[2.0, 6.0]]]])  # the right place is half of either segment
    means, valid = pool(features, segments)
    torch.testing.assert_close(means[0, :2, 0], torch.tensor([(2 * 2 + 6) / 3, 6.0]))
    assert valid[0].tolist() == [True, True] + [False] * 28


def test_empty_segments_get_no_attention():
    model = build("structured-attention").eval()
    with torch.no_grad():
        shown = torch.zeros(1, 3, 64, 64)
        state = model.start(shown)
        state["valid"][:, 20:] = False
        _, after = model.step(torch.tensor([START]), state)
    assert after["weights"][0, 20:].eq(0).all()
    assert after["weights"].sum().item() == pytest.approx(1)


def test_regularizers_against_a_loop():
    weights = torch.rand(2, 3, 4).softmax(2)
    valid = torch.tensor([[True] * 4, [True, True, False, False]])
    weights = weights * valid[:, None]
    weights = weights / weights.sum(2, keepdim=True)
    kept = torch.tensor([[True, True, True], [True, False, False]])
    doubly, spread = [], []
    for b in range(2):
        there = [i for i in range(4) if valid[b, i]]
        said = [t for t in range(3) if kept[b, t]]
        doubly.append(np.mean([(1 - sum(weights[b, t, i].item() for t in said)) ** 2 for i in there]))
        spread += [len(there) * np.var([weights[b, t, i].item() for i in there]) for t in said]
    expected = np.mean(doubly) - 0.1 * np.mean(spread)
    assert regularizers(weights, valid, kept).item() == pytest.approx(expected, rel=1e-5)


def test_attributes_are_frequent_words_with_content_and_their_graph_is_normalized():
    # numbers: 4 a, 5 airport, 6 beach, 8 field, 13 the ... ; "a", "of", "many" and "the" have no content
    words = frequent_words(SENTENCES, VOCABULARY, 3)
    assert [VOCABULARY[w] for w in words] == ["airport", "beach", "field"]
    edges = adjacency(np.array([[[1, 5, 6, 2]], [[1, 5, 2, 0]], [[1, 8, 2, 0]]]), np.array([5, 6, 8]))
    s = 1 / math.sqrt(2)
    similarity = np.array([[1, s, 0], [s, 1, 0], [0, 0, 1]])
    degree = np.diag(similarity.sum(1) ** -0.5)
    np.testing.assert_allclose(edges, degree @ similarity @ degree, atol=1e-6)


def test_attribute_loss_is_that_of_the_words_that_captions_name():
    model = build("multilevel-attention-gcn").eval()
    shown, said = images(), tokens()
    with torch.no_grad():
        whole = model.training_loss(shown, CaptionTargets(said, sentences=2), F.cross_entropy)
        words = token_loss(F.cross_entropy, model(shown, said), said)
        probability = model.start(shown)["logits"].double().sigmoid()
    named = torch.tensor([[int(w in SENTENCES[i]) for w in model.attributes.words.tolist()] for i in range(4)])
    expected = -torch.where(named == 1, probability, 1 - probability).log().mean()
    assert (whole - words).item() == pytest.approx(expected.item(), rel=1e-4)


def test_default_encoders_are_those_of_the_papers():
    with torch.device("meta"):  # shapes alone: the networks are large
        for name, widths in {
            "vgg19-lstm": (4096,),
            "googlenet-hard-attention": (832,),
            "structured-attention": (1024,),
            "rasg": (1024, 2048),
            "multilevel-attention-gcn": (1024, 2048),
        }.items():
            (spec,) = (m for m in MODELS if m.name == name)
            encoder = build(name, backbone=spec.options["backbone"].default).encoder
            found = encoder(torch.zeros(2, 3, 64, 64))
            assert encoder.widths == tuple(m.shape[1] for m in found) == widths
        vgg = vector_encoder(context(), "torchvision:vgg19")
    layers = [type(layer).__name__ for layer in vgg.trunk.layers[3]]
    assert layers == ["Linear", "ReLU", "Dropout", "Linear", "ReLU"]  # to the end of fc7


def test_every_system_takes_real_imagenet_weights(real_data):
    options = {
        "backbone": "torchvision:squeezenet1_0",
        "weights": str(real_data / "weights" / "squeezenet1_0_imagenet_tvnorm.npz"),
    }
    with np.load(options["weights"]) as archive:
        first = torch.from_numpy(archive["features.0.weight"])
    for spec in MODELS:
        model = build(spec.name, **options)
        assert torch.equal(model.encoder.state_dict()["trunk.layers.0.weight"], first)
        if spec.kind == "network":
            assert torch.isfinite(model.eval()(images(2), tokens()[:4])).all()


def test_word_vectors_keep_the_inner_products_of_ppmi_in_full_rank():
    texts = [["a", "b", "a"], ["b", "c"], ["c", "d", "c", "d"]]
    vectors = word_vectors(texts)
    words = sorted(vectors)
    count = np.zeros((4, 4))
    for text in texts:
        for i, one in enumerate(text):
            for j, other in enumerate(text):
                if i != j:
                    count[words.index(one), words.index(other)] += 1
    p = count / count.sum()
    with np.errstate(divide="ignore"):
        ppmi = np.maximum(np.log(p / np.outer(p.sum(1), p.sum(0))), 0)
    table = np.stack([vectors[w] for w in words])
    # U sqrt(S) (U sqrt(S))' is the positive square root of M M'
    np.testing.assert_allclose(np.linalg.matrix_power(table @ table.T, 2), ppmi @ ppmi.T, atol=1e-9)
    assert word_vectors(texts, 2)["a"].shape == (2,)


def test_metric_loss_against_a_loop_and_the_central_sentence():
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    same = torch.eye(4, dtype=torch.bool)
    same[0, 2] = same[2, 0] = True
    cosine = F.cosine_similarity(a[:, None], b[None], dim=2)
    total = sum(
        max(0.0, (0.2 - cosine[i, i] + cosine[i, j]).item()) + max(0.0, (0.2 - cosine[i, i] + cosine[j, i]).item())
        for i in range(4)
        for j in range(4)
        if not same[i, j]
    )
    assert metric_loss(a, b, same).item() == pytest.approx(total / 4, rel=1e-5)
    vectors = {"x": np.array([1.0, 0.0]), "y": np.array([0.0, 1.0])}
    assert central(["x x", "x y", "y y"], np.array([0.5, 0.5]), vectors) == "x y"


def test_csmlf_finds_sentences_of_like_images():
    generator = np.random.default_rng(0)
    colors = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 200, 30]])
    things = ["airport with planes", "dense green forest", "blue calm sea", "yellow dry desert"]

    def scene(kind: int) -> np.ndarray:
        noise = generator.integers(-25, 26, (3, 32, 32))
        return np.clip(colors[kind][:, None, None] + noise, 0, 255).astype(np.uint8)

    kinds = np.arange(48) % 4
    shown = np.stack([scene(k) for k in kinds])
    sentences = [
        [f"a {things[k]}", f"there is a {things[k]} here", f"{things[k]} number {i % 3}"] for i, k in enumerate(kinds)
    ]
    model = build("csmlf", context(size=32))
    random_state = torch.get_rng_state()
    model.fit((shown[:20], shown[20:]), sentences, None)
    assert torch.equal(torch.get_rng_state(), random_state)
    asked = generator.integers(0, 4, 40)
    said = model.caption(np.stack([scene(k) for k in asked]))
    assert set(said) <= {s for of_image in sentences for s in of_image}
    assert np.mean([things[k] in s for k, s in zip(asked, said, strict=True)]) > 0.8  # chance: 0.25
    again = build("csmlf", context(size=32))
    again.fit((shown,), sentences, None)
    assert again.caption(shown) == model.caption(shown)


def test_declared_systems_are_named_reconstructions():
    for spec in MODELS:
        assert spec.tasks == ("captioning",)
        assert spec.tags == ("reconstruction",)
        assert spec.citation
