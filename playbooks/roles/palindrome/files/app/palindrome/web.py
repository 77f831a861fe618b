"""The web application."""

import time

from flask import Flask, jsonify, render_template, request
from werkzeug.wsgi import ClosingIterator

from palindrome.cache import Cache
from palindrome.inflight import InFlight
from palindrome.store import Store, Unavailable
from palindrome.text import Unreadable, is_palindrome, read


def create_app(settings, cache=None, store=None, inflight=None):
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.json.sort_keys = False
    app.settings = settings
    app.cache = cache or Cache(settings.redis)
    app.store = store or Store(settings.database, settings.reader)
    app.inflight = inflight or InFlight(workers=1, threads=64)
    app.wsgi_app = _counted(app.wsgi_app, app.inflight)
    _answers(app)
    _pages(app)
    _deployment(app)
    return app


def _counted(wsgi_app, inflight):
    """Notes when a request begins and when its last byte was produced."""

    def counted(environ, start_response):
        inflight.begin()
        try:
            return ClosingIterator(wsgi_app(environ, start_response), inflight.end)
        except BaseException:
            inflight.end()
            raise

    return counted


def _answers(app):
    @app.route("/palindrome", methods=["GET", "POST"])
    def palindrome():
        return jsonify(_judge(app, _given()))

    @app.errorhandler(Unreadable)
    def unreadable(error):
        return jsonify(error=str(error)), 400


def _given():
    if request.method == "GET":
        return request.args.get("text")
    if request.is_json:
        body = request.get_json(silent=True)
        return body.get("text") if isinstance(body, dict) else None
    return request.form.get("text")


def _judge(app, given):
    text = read(given)
    answer = app.cache.answer(text)
    is_cached = answer is not None
    is_stored = is_cached
    if not is_cached:
        answer = is_palindrome(text)
        is_stored = _is_recorded(app, text, answer)
        if is_stored:
            app.cache.remember(text, answer)
    return {"text": text, "palindrome": answer, "cached": is_cached, "stored": is_stored, "release": app.settings.release}


def _is_recorded(app, text, answer):
    try:
        app.store.record(text, answer)
    except Unavailable as error:
        app.logger.warning("not recorded: %s", error)
        return False
    return True


def _pages(app):
    @app.get("/")
    def index():
        result, error = None, None
        if "text" in request.args:
            try:
                result = _judge(app, request.args["text"])
            except Unreadable as unreadable:
                error = str(unreadable)
        page = render_template("index.html", result=result, error=error, settings=app.settings)
        return page, 400 if error else 200

    @app.get("/recent")
    def recent():
        try:
            rows = app.store.recent()
        except Unavailable as error:
            app.logger.warning("not listed: %s", error)
            return render_template("recent.html", rows=None, settings=app.settings), 503
        return render_template("recent.html", rows=rows, settings=app.settings)


def _deployment(app):
    settings = app.settings

    @app.get("/healthz")
    def healthz():
        # Only itself: were Redis or PostgreSQL asked here, one of them restarting would take every node out at once.
        if settings.broken == "health":
            return jsonify(status="broken", release=settings.release), 503
        return jsonify(status="ok", release=settings.release)

    @app.get("/version")
    def version():
        return jsonify(release=settings.release, node=settings.node)

    @app.get("/deploy/ready")
    def ready():
        if "X-Forwarded-For" in request.headers:
            return jsonify(error="not from outside"), 403
        try:
            status, code, reason = _readiness(app)
        except Unavailable as error:
            status, code, reason = "busy", 503, f"cannot tell whether a migration is running: {error}"
        return jsonify(status=status, reason=reason, release=settings.release), code

    @app.get("/slow")
    def slow():
        seconds = request.args.get("seconds", default=1.0, type=float)
        if not 0.0 <= seconds <= settings.request_seconds_max:
            return jsonify(error=f"`seconds` is between 0 and {settings.request_seconds_max}"), 400
        time.sleep(seconds)
        return jsonify(slept=seconds, release=settings.release)


def _readiness(app):
    hold = app.store.hold()
    if hold is not None:
        return "refuse", 409, hold
    longest = app.inflight.longest()
    if longest > app.settings.long_seconds:
        return "busy", 503, f"a request has been running for {longest:.0f} s"
    migration = app.store.migration()
    if migration is not None:
        return "busy", 503, migration
    return "ready", 200, None
