"""/metrics on a port of its own."""

import httpx

from server.metrics_port import MetricsServer


def test_it_answers_the_metrics_alone() -> None:
    server = MetricsServer("127.0.0.1", 0)
    server.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with httpx.Client(verify=False) as client:
            answer = client.get(f"{url}/metrics")
            assert answer.status_code == 200
            assert "lince_http_requests_in_progress" in answer.text
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert client.get(f"{url}/").status_code == 404
            assert client.post(f"{url}/metrics").status_code == 501
    finally:
        server.stop()


def test_workers_share_it() -> None:
    first = MetricsServer("127.0.0.1", 0)
    second = MetricsServer("127.0.0.1", first.server_address[1])
    first.server_close()
    second.server_close()
