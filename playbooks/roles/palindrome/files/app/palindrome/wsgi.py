"""The application as a server loads it: made once, before the worker processes are forked."""

from palindrome.inflight import InFlight
from palindrome.settings import settings as read_settings
from palindrome.web import create_app

settings = read_settings()
inflight = InFlight(workers=2 * settings.workers, threads=settings.threads)
app = create_app(settings, inflight=inflight)
