# The tested set on a CPU or an NVIDIA GPU:
#   docker build --tag gaplab . && docker run --rm --volume "$PWD/logs:/gaplab/logs" gaplab seed=3
# With a GPU: docker run --gpus=all ...
FROM python:3.11.13-slim-bookworm
# g++ compiles what torch.compile writes; git is for the dev container, where the commit of a run is recorded.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /gaplab
COPY . .
RUN make PYTHON=python VENV=/opt/gaplab /opt/gaplab/.installed
ENV PATH=/opt/gaplab/bin:$PATH
ENTRYPOINT ["python", "train.py"]
