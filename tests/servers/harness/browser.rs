//! Debian's Chromium, by its WebDriver.

use super::{Process, wait_until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// A browser with one page.
pub struct Browser {
    _driver: Process,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("/usr/bin/chromedriver");
        command.arg("--port=9515").stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Process::start(command, None);
        wait_until("chromedriver", || std::net::TcpStream::connect("127.0.0.1:9515").is_ok());
        let data = format!("--user-data-dir={}", profile.path().display());
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", data,
        ] });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = post("http://127.0.0.1:9515/session", &wanted);
        let id = made["sessionId"].as_str().expect("a session").to_owned();
        Browser { _driver: driver, session: format!("http://127.0.0.1:9515/session/{id}"), _profile: profile }
    }

    fn call(&self, what: &str, body: &Value) -> Value {
        post(&format!("{}/{what}", self.session), body)
    }

    /// A command of the DevTools protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) {
        self.call("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    pub fn open(&self, path: &Path) {
        self.call("url", &json!({ "url": format!("file://{}", path.display()) }));
    }

    /// The value of a JavaScript expression.
    pub fn value(&self, expression: &str) -> Value {
        self.call("execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// Runs a program of JavaScript.
    pub fn run(&self, program: &str) {
        self.call("execute/sync", &json!({ "script": program, "args": [] }));
    }

    /// The value of a promise.
    pub fn awaited(&self, promise: &str) -> Value {
        self.call("execute/async", &json!({ "script": format!("{promise}.then(arguments[0])"), "args": [] }))
    }

    /// Presses a key.
    pub fn press(&self, key: &str) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.call("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// What the console says since the last look.
    pub fn console(&self) -> Vec<Value> {
        let said = self.call("se/log", &json!({ "type": "browser" }));
        // The browser's own first page may be slow.
        let of_page = |entry: &&Value| !entry["message"].as_str().unwrap_or_default().starts_with("chrome://");
        said.as_array().expect("a list").iter().filter(of_page).cloned().collect()
    }

    /// A picture of the page, in base64.
    pub fn picture(&self) -> String {
        let mut answer = ureq::get(format!("{}/screenshot", self.session)).call().expect("a picture");
        let value: Value = answer.body_mut().read_json().expect("JSON");
        value["value"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ureq::delete(&self.session).call();
    }
}

fn post(url: &str, body: &Value) -> Value {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.post(url).send_json(body).unwrap_or_else(|error| panic!("{url}: {error}"));
    let status = answer.status();
    let value: Value = answer.body_mut().read_json().expect("JSON");
    assert!(status.is_success(), "{url}: {value:#}");
    value["value"].clone()
}
