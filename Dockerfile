# docker build -t lrformer .                                          CUDA, and the CPU where no GPU is handed in (--gpus all)
# docker build -t lrformer --build-arg PIP_ARGS="--index-url URL" .   torch of another index, such as PyTorch's for CPUs alone
# docker run --rm -v "$PWD:/data" lrformer predict MODEL /data/photos --out /data/results
FROM python:3.12-slim
ARG PIP_ARGS=""
# With a C compiler, which Triton needs to launch its kernels on GPUs.
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir torch torchvision ${PIP_ARGS}
COPY . /lrformer
RUN pip install --no-cache-dir /lrformer
WORKDIR /data
ENTRYPOINT ["lrformer"]
CMD ["--help"]
