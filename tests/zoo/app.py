# The same as page.php in uWSGI.
import base64, json, os, subprocess

def application(environ, start_response):
    here = os.path.dirname(os.path.abspath(__file__))
    every = []
    for command, environment in json.load(open(here + "/commands.json")):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, cwd=here, env=environment)
        except OSError as error:
            done = subprocess.CompletedProcess(command, -1, b"", str(error).encode())
        every.append([base64.b64encode(done.stdout).decode(), base64.b64encode(done.stderr).decode(), done.returncode])
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(every).encode()]
