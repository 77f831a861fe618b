"""How the application is served. Gunicorn reads this file from the directory that it is started in."""

import os

from palindrome.wsgi import app, inflight, settings

bind = f"0.0.0.0:{os.environ.get('PORT', '5000')}"
worker_class = "gthread"
workers = settings.workers
threads = settings.threads
worker_tmp_dir = "/dev/shm"
accesslog = "-" if os.environ.get("ACCESS_LOG") else None

# Longer than the load balancer keeps an idle connection (60 s, or a little more where requests are long): the side that closes must
# be the load balancer, or it sends a request down a connection that is just going away.
keepalive = 75

# On SIGTERM requests are finished. The container's stop grace is longer still.
graceful_timeout = settings.request_seconds_max + 5

# No way in but HTTP and signals.
control_socket_disable = True

# A worker whose loop hangs is replaced; a long request does not count, it runs in a thread.
timeout = 60

# The numbers that the workers share must exist before the fork.
preload_app = True
wsgi_app = "palindrome.wsgi:app"


def pre_fork(server, worker):
    inflight.take(worker.age)


def post_fork(server, worker):
    app.store.open()


def child_exit(server, worker):
    inflight.release(worker.age)


def worker_exit(server, worker):
    app.store.close()
