"""What Docker runs inside the container to see whether the application answers. Without the application's own imports: it is quick."""

import http.client
import os
import sys


def main():
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "5000")), timeout=2)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        print(answer.status, answer.read(200).decode(errors="replace").strip())
        return 0 if answer.status == 200 else 1
    except OSError as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
