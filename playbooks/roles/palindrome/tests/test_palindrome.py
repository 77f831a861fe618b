"""The application without Redis and PostgreSQL: `pip install -r ../files/app/requirements.txt pytest`, then `pytest` here."""

import threading

import pytest

from palindrome.breaker import Breaker, Open
from palindrome.inflight import InFlight
from palindrome.schema import migrations
from palindrome.settings import settings
from palindrome.store import Unavailable
from palindrome.text import LENGTH_MAX, Unreadable, is_palindrome, read
from palindrome.web import create_app

ENVIRON = {
    "DATABASE_ENDPOINT": "db.example:5433",
    "DATABASE_NAME": "palindrome",
    "DATABASE_USER": "writer",
    "DATABASE_PASSWORD": "w",
    "DATABASE_READER_USER": "reader",
    "DATABASE_READER_PASSWORD": "r",
    "REDIS_ENDPOINT": "redis.example",
    "REQUEST_SECONDS_MAX": "2",
    "PALINDROME_RELEASE": "7",
    "PALINDROME_NODE": "app1",
}


class Memory:
    def __init__(self):
        self.answers = {}

    def answer(self, text):
        return self.answers.get(text)

    def remember(self, text, answer):
        self.answers[text] = answer


class Rows:
    def __init__(self):
        self.rows, self.held, self.pending, self.is_down = [], None, None, False

    def _check(self):
        if self.is_down:
            raise Unavailable("OperationalError")

    def record(self, text, answer):
        self._check()
        self.rows.append((text, answer))

    def recent(self):
        self._check()
        return []

    def hold(self):
        self._check()
        return self.held

    def migration(self):
        return self.pending


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def inflight(clock):
    return InFlight(workers=2, threads=4, clock=clock)


@pytest.fixture
def client(rows, inflight):
    return application(rows, inflight).test_client()


def application(rows, inflight, **environ):
    return create_app(settings(ENVIRON | environ), cache=Memory(), store=rows, inflight=inflight)


@pytest.mark.parametrize("text", ["kayak", "A man, a plan, a canal: Panama", "Été", "1", "12 21", "Straßssarts"])
def test_palindromes(text):
    assert is_palindrome(read(text))


@pytest.mark.parametrize("text", ["ab", "palindrome", "123", "été d'étés"])
def test_others(text):
    assert not is_palindrome(read(text))


@pytest.mark.parametrize("text", [None, 5, "", "?!", "a\0a", "\ud800a", "a" * (LENGTH_MAX + 1)])
def test_unreadable(text):
    with pytest.raises(Unreadable):
        read(text)


def test_an_answer_is_stored_once_and_then_remembered(client, rows):
    first = client.get("/palindrome?text=kayak").get_json()
    again = client.post("/palindrome", json={"text": "kayak"}).get_json()
    assert first == {"text": "kayak", "palindrome": True, "cached": False, "stored": True, "release": "7"}
    assert again["cached"] and rows.rows == [("kayak", True)]


def test_an_answer_needs_no_database(client, rows):
    rows.is_down = True
    answer = client.post("/palindrome", data={"text": "ab"})
    assert answer.status_code == 200
    assert answer.get_json()["palindrome"] is False and answer.get_json()["stored"] is False
    assert client.get("/healthz").status_code == 200
    assert client.get("/recent").status_code == 503


@pytest.mark.parametrize("body", ["[", "[]", '"x"', "{}", '{"text": 1}'])
def test_a_bad_body_is_the_senders_fault(client, body):
    assert client.post("/palindrome", data=body, content_type="application/json").status_code == 400


def test_the_page_escapes_what_was_typed(client):
    page = client.get("/", query_string={"text": "<b>b"}).get_data(as_text=True)
    assert "&lt;b&gt;b" in page and "<b>b" not in page


def test_ready_has_three_answers(client, rows, inflight, clock):
    assert client.get("/deploy/ready").status_code == 200
    rows.pending = "a migration is running"
    assert client.get("/deploy/ready").status_code == 503
    rows.held = "the yearly closing"
    refused = client.get("/deploy/ready")
    assert refused.status_code == 409 and refused.get_json()["reason"] == "the yearly closing"


def test_not_ready_while_a_request_runs_long(client, inflight, clock):
    running(inflight)
    assert client.get("/deploy/ready").status_code == 200
    clock.now += 6
    busy = client.get("/deploy/ready")
    assert busy.status_code == 503 and busy.get_json()["reason"] == "a request has been running for 6 s"


def test_not_ready_when_the_database_cannot_be_asked(client, rows):
    rows.is_down = True
    assert client.get("/deploy/ready").status_code == 503


def test_ready_is_not_for_the_outside(client):
    assert client.get("/deploy/ready", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 403


@pytest.mark.parametrize("seconds", ["-1", "3", "nan", "inf"])
def test_slow_is_bounded(client, seconds):
    assert client.get("/slow", query_string={"seconds": seconds}).status_code == 400


def test_a_broken_release_is_broken_in_its_health_only(rows, inflight):
    client = application(rows, inflight, PALINDROME_BREAK="health").test_client()
    assert client.get("/healthz").status_code == 503
    assert client.get("/version").get_json() == {"release": "7", "node": "app1"}


def running(inflight):
    """Leaves a request running in a thread of its own."""
    thread = threading.Thread(target=inflight.begin)
    thread.start()
    thread.join()


def test_requests_of_all_workers_count_and_those_of_a_dead_one_do_not(inflight, clock):
    for worker in (1, 2):
        inflight.take(worker)
        running(inflight)
        clock.now += 1
    assert inflight.longest() == 2
    inflight.release(1)
    assert inflight.longest() == 1
    inflight.release(2)
    assert inflight.longest() == 0


def test_more_workers_than_foreseen_do_no_harm(inflight):
    for worker in range(5):
        inflight.take(worker)
    for worker in range(5):
        inflight.release(worker)
    inflight.release("unknown")
    assert inflight.longest() == 0


def test_a_breaker_leaves_a_failing_service_alone_for_a_while():
    clock = Clock()
    breaker = Breaker(OSError, seconds=3, clock=clock)
    with pytest.raises(OSError), breaker:
        raise OSError()
    with pytest.raises(Open), breaker:
        pass
    clock.now += 3
    with breaker:
        pass


def test_migrations_are_numbered_without_gaps(tmp_path):
    assert [m.version for m in migrations()] == list(range(1, len(migrations()) + 1))
    (tmp_path / "002_late.sql").write_text("SELECT 1")
    with pytest.raises(ValueError):
        migrations(tmp_path)


def test_endpoints_may_leave_the_port_out():
    found = settings(ENVIRON)
    assert (found.database.host, found.database.port, found.redis.port) == ("db.example", 5433, 6379)
