//! A headless Chromium, driven by its own protocol: JSON messages, each followed by a zero byte, over two pipes.

use crate::picture::decoded;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, thread};

/// A browser with one page. Dropping it ends the browser. Every method panics if the browser does not respond within a minute.
#[derive(Debug)]
pub struct Chromium {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    sent: u64,
    session: Option<String>,
    complaints: Vec<String>,
}

impl Chromium {
    /// Starts `chromium`, or the program in `CABRANK_CHROMIUM`, with an empty page of this width and height.
    pub fn start(width: u32, height: u32) -> Self {
        let program = env::var("CABRANK_CHROMIUM").unwrap_or_else(|_| "chromium".into());
        // It requires its pipes as descriptors 3 and 4. Without a sandbox, which root may lack; it loads only our own page.
        let exec = "exec \"$0\" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run \
                    --remote-debugging-pipe 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";
        let mut process = Command::new("sh")
            .args(["-c", exec, &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let to = process.stdin.take().expect("it is piped");
        let from = messages(process.stdout.take().expect("it is piped"));
        let mut browser = Self { process, to, from, sent: 0, session: None, complaints: Vec::new() };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Page", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(width, height);
        browser.prefer("light", "no-preference");
        browser
    }

    /// Opens this address.
    pub fn open(&mut self, url: &str) {
        let gone = self.call("Page.navigate", json!({ "url": url }));
        assert_eq!(gone["errorText"], Value::Null, "{url}");
        self.eventually("the page is loaded", "document.readyState === 'complete'");
    }

    /// The value of the script's last expression.
    pub fn evaluate(&mut self, script: &str) -> Value {
        let result =
            self.call("Runtime.evaluate", json!({ "expression": script, "returnByValue": true, "awaitPromise": true }));
        assert_eq!(result["exceptionDetails"], Value::Null, "{script}");
        result["result"]["value"].clone()
    }

    /// The text of the first element that matches the selector.
    pub fn text(&mut self, selector: &str) -> String {
        let script = format!("document.querySelector({}).textContent", json!(selector));
        self.evaluate(&script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the script's last expression is true.
    #[track_caller]
    pub fn eventually(&mut self, what: &str, script: &str) {
        let begun = Instant::now();
        while self.evaluate(script) != Value::Bool(true) {
            assert!(
                begun.elapsed() < PATIENCE,
                "timed out waiting for {what}; the page contains: {}",
                self.text("body")
            );
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Presses a key, such as `Tab` or `Escape`.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            _ => 0,
        };
        for kind in ["rawKeyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code }),
            );
        }
    }

    /// Moves the pointer to this place.
    pub fn point(&mut self, x: f64, y: f64) {
        self.call("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y }));
    }

    /// Sets the window's size.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Sets the user's preferences: `light` or `dark`, and `reduce` or `no-preference`.
    pub fn prefer(&mut self, scheme: &str, motion: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": motion },
        ]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// A picture of the window, in WebP.
    pub fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "webp", "quality": 82 }));
        decoded(shot["data"].as_str().expect("a picture"))
    }

    /// Console errors, exceptions and failed requests since the last call.
    pub fn complaints(&mut self) -> Vec<String> {
        // Pending messages arrive before the answer to this.
        self.evaluate("0");
        std::mem::take(&mut self.complaints)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser is there");
        loop {
            let answer = self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {method}"));
            if answer["id"] == self.sent {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].clone();
            }
            self.hear(&answer);
        }
    }

    fn hear(&mut self, event: &Value) {
        let parameters = &event["params"];
        let is_complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                matches!(parameters["type"].as_str(), Some("error" | "warning" | "assert"))
            }
            Some("Log.entryAdded") => parameters["entry"]["level"] == "error",
            _ => false,
        };
        if is_complaint {
            self.complaints.push(parameters.to_string());
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The browser's messages, until it ends.
fn messages(from: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for message in BufReader::new(from).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).expect("it speaks JSON");
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}

const PATIENCE: Duration = Duration::from_secs(60);
