"""The part of S3 that an archive needs, over plain HTTP: `fake_s3.py DIR` keeps objects as files below DIR/bucket.

The server prints its port, and stops at the end of its input. Bucket `denied` refuses every write. Bucket `damaged`
returns changed content. Bucket `forgetful` loses every object.
"""

import hashlib
import http.server
import pathlib
import sys
import threading
import urllib.parse
import uuid
import xml.sax.saxutils

ROOT = pathlib.Path(sys.argv[1])
UPLOADS = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def parts(self):
        url = urllib.parse.urlsplit(self.path)
        # A percent-encoding in the key itself stays encoded.
        bucket, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return bucket, key, query, body

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        bucket, key, query, body = self.parts()
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=key/"):
            return self.answer(401, b"not signed")
        if bucket == "denied":
            return self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        if "uploadId" in query:
            UPLOADS[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.store(bucket, key, body)
        self.answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def do_POST(self):
        bucket, key, query, _ = self.parts()
        if "uploads" in query:
            upload = uuid.uuid4().hex
            UPLOADS[upload] = {}
            result = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        else:
            parts = UPLOADS.pop(query["uploadId"])
            self.store(bucket, key, b"".join(parts[number] for number in sorted(parts)))
            (ROOT / bucket / "multipart").touch()
            result = "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>"
        self.answer(200, result.encode(), Content_Type="application/xml")

    def do_DELETE(self):
        _, _, query, _ = self.parts()
        UPLOADS.pop(query.get("uploadId"), None)
        self.answer(204)

    def do_GET(self):
        bucket, key, query, _ = self.parts()
        if "list-type" in query:
            return self.answer(200, self.listing(bucket, query.get("prefix", "")), Content_Type="application/xml")
        file = ROOT / bucket / key
        if bucket == "forgetful" or not file.is_file():
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        body = file.read_bytes()
        if bucket == "damaged":
            body = body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]
        self.answer(200, body, ETag='"e"', Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")

    def store(self, bucket, key, body):
        file = ROOT / bucket / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)

    def listing(self, bucket, prefix):
        folder = ROOT / bucket
        keys = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.parquet"))
        entries = "".join(
            f"<Contents><Key>{xml.sax.saxutils.escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<Size>1</Size></Contents>"
            for key in keys if key.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
