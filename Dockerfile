FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DROVER_HOME=/var/lib/drover PORT=8000
RUN useradd --system --create-home --home-dir /var/lib/drover drover
WORKDIR /app
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY manage.py pyproject.toml ./
COPY config ./config
COPY crm ./crm
COPY search ./search
COPY bulk_actions ./bulk_actions
USER drover
VOLUME /var/lib/drover
EXPOSE 8000
CMD ["gunicorn", "config.wsgi:application", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", "--threads", "4", "--timeout", "120", "--no-control-socket"]
