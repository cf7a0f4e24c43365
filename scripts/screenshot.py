"""Takes a screenshot of a page as a device shows it: `scripts/screenshot.py PAGE.html PICTURE.png WIDTHxHEIGHT light|dark`."""
import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def call(port, path, body):
    """A command of WebDriver."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


def awaited(port):
    """Waits until the driver takes commands."""
    for _ in range(200):
        try:
            return call(port, "/status", None)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    sys.exit("chromedriver does not answer")


def main():
    page, picture, size, scheme = sys.argv[1:]
    width, height = map(int, size.split("x"))
    port = 9516
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        awaited(port)
        with tempfile.TemporaryDirectory() as profile:
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
            wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}
            session = "/session/" + call(port, "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

            def devtools(command, parameters):
                return call(port, session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
            devtools("Emulation.setDeviceMetricsOverride", metrics)
            devtools("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            call(port, session + "/url", {"url": pathlib.Path(page).resolve().as_uri()})
            shot = devtools("Page.captureScreenshot", {"format": "png"})
            pathlib.Path(picture).write_bytes(base64.b64decode(shot["data"]))
            request = urllib.request.Request(f"http://127.0.0.1:{port}{session}", method="DELETE")
            urllib.request.urlopen(request, timeout=60).close()
    finally:
        driver.terminate()
        driver.wait()


main()
