//! A headless Chromium, driven over WebDriver.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use url::{ParseError, Url};

/// A browser. It ends when this value is dropped.
pub struct Browser {
    /// The connection to the browser.
    pub client: Client,
    driver: Child,
    port: u16,
}

impl Browser {
    /// Starts a browser whose window has this size in pixels.
    pub async fn start(width: u32, height: u32) -> Self {
        Self::start_with(width, height, &[]).await
    }

    /// Starts a browser with more arguments.
    pub async fn start_with(width: u32, height: u32, more: &[&str]) -> Self {
        // Drivers that start at the same time can choose the same port. Then one of them ends at once.
        let (driver, port) = (0..5).find_map(|_| driver()).expect("chromedriver names its port");
        let mut arguments = vec!["--headless=new".to_owned(), format!("--window-size={width},{height}")];
        arguments.extend(["--disable-dev-shm-usage", "--disable-gpu"].map(str::to_owned));
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        // The sandbox of Chromium refuses to run as root.
        if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            arguments.push("--no-sandbox".to_owned());
        }
        let options = json!({ "goog:chromeOptions": { "args": arguments }, "goog:loggingPrefs": { "browser": "ALL" } });
        let options: Map<String, Value> = options.as_object().cloned().unwrap();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(options)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("the browser starts");
        Self { client, driver, port }
    }

    /// Runs a script with arguments. It passes its result to the function that is its last argument.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute_async(script, arguments).await.expect("the script ends")
    }

    /// Sends a command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.client.issue_cmd(Post { path: "goog/cdp/execute", body }).await.expect("the browser knows the command")
    }

    /// Returns what the console shows since the last call, one message on each line.
    pub async fn console(&self) -> String {
        let post = Post { path: "se/log", body: json!({ "type": "browser" }) };
        let entries = self.client.issue_cmd(post).await.expect("the browser has a log");
        let messages = entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned());
        messages.collect::<Vec<_>>().join("\n")
    }

    /// Closes the browser.
    pub async fn close(self) {
        let _ = self.client.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver closes its browser only if it is asked to end. A test that fails has not closed it.
        let _ = shut_down(self.port);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn shut_down(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// A command of chromedriver that WebDriver does not have.
#[derive(Debug)]
struct Post {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Post {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// Starts a driver and reads its port from its output. Returns none if it ends without one.
fn driver() -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .args(["--port=0", "--log-level=SEVERE"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver of the Debian package chromium-driver starts");
    let output = BufReader::new(driver.stdout.take().unwrap());
    let line = output.lines().map_while(Result::ok).find(|line| line.contains("successfully on port "));
    let Some(line) = line else {
        let _ = driver.wait();
        return None;
    };
    let digits = line.rsplit("on port ").next().unwrap().trim_end_matches('.');
    Some((driver, digits.parse().unwrap_or_else(|_| panic!("no port in \"{line}\""))))
}
