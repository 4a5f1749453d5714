# docker build -t rsbench .
# docker run --rm --gpus all -v "$PWD/data:/data" -v "$PWD/results:/results" rsbench run bmta eurosat --recipe author
# Without a GPU, leave out --gpus all.
FROM python:3.12-slim
COPY . /src
RUN pip install --no-cache-dir /src && rm -rf /src
ENV RSBENCH_DATA=/data RSBENCH_OUT=/results
VOLUME ["/data", "/results"]
WORKDIR /results
ENTRYPOINT ["rsbench"]
CMD ["--help"]
