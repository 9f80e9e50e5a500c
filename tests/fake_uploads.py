"""The half of tests/fake_registry that is written to: repositories, upload sessions, manifests, tags, referrers."""

import hashlib
import json
import re
import threading

PATH = re.compile(r"/v2/(.+)/(blobs/uploads|blobs|manifests|tags|referrers)/([^/]*)$")
lock = threading.Lock()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Repository:
    def __init__(self):
        self.blobs, self.manifests, self.tags = {}, {}, {}


class Session:
    """What came so far. A request must name the latest state, as a signed Location does."""

    def __init__(self, repository):
        self.repository, self.data, self.state = repository, bytearray(), 0


class Uploads:
    def __init__(self, image):
        self.repositories, self.sessions, self.count = {"app": Repository()}, {}, 0
        app = self.repositories["app"]
        app.blobs.update(image.blobs)
        app.manifests[digest(image.manifest)] = (image.type, image.manifest)
        app.tags["latest"] = digest(image.manifest)

    def repository(self, name, make=False):
        with lock:
            if make and name not in self.repositories:
                self.repositories[name] = Repository()
            return self.repositories.get(name)

    def answer(self, ask, Reply, error):
        """ask: command, path, query (a dict of lists), body (bytes), headers, rules, server. None: not for us."""
        match = PATH.match(ask.path)
        if not match:
            return None
        name, kind, rest = match.groups()
        if kind == "blobs/uploads":
            return self.upload(ask, name, rest, Reply, error)
        if kind == "manifests" and ask.command == "PUT":
            return self.put_manifest(ask, name, rest, Reply, error)
        repository = self.repository(name)
        if repository is None:
            return error(404, "NAME_UNKNOWN", "repository name not known to registry")
        if kind == "manifests":
            found = repository.manifests.get(repository.tags.get(rest, rest))
            if not found:
                return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
            return Reply(200, found[1], Content_Type=found[0], Docker_Content_Digest=digest(found[1]))
        if kind == "tags":
            return self.list_tags(ask, name, repository, Reply)
        if kind == "blobs":
            data = repository.blobs.get(rest)
            if data is None:
                return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return Reply(200, data, Content_Type="application/octet-stream", Accept_Ranges="bytes",
                         Docker_Content_Digest=rest)
        return error(404, "UNSUPPORTED", "no referrers here")

    # Sessions.

    def reply(self, Reply, status, ask, key, session):
        """A reply that says where the session goes on."""
        if not any(r.do in ("cut-upload", "done-but-cut") for r in ask.rules):
            session.state += 1  # else nobody will see it: the last Location stays good
        path = f"/v2/{session.repository}/blobs/uploads/{key}?_state={session.state}&more=a%2Fb"
        how = next((r.args for r in ask.rules if r.do == "location"), "path")
        if how == "absolute":
            path = ask.server.base + path
        elif how == "relative":
            path = f"{key}?_state={session.state}&more=a%2Fb" if ask.command != "POST" else \
                f"./{key}?_state={session.state}&more=a%2Fb"
        elif how == "other":
            path = ask.server.world.other.base + path
        reply = Reply(status, b"", Location=path, Range=f"0-{max(len(session.data) - 1, 0)}")
        least = next((r.args for r in ask.rules if r.do == "min-chunk"), None)
        if least and ask.command == "POST":
            reply.headers["OCI-Chunk-Min-Length"] = least
        return reply

    def begin(self, ask, name, Reply):
        mount, source = ask.query.get("mount", [None])[0], ask.query.get("from", [None])[0]
        from_ = self.repository(source) if source else None
        into = self.repository(name, make=True)
        if mount and from_ and mount in from_.blobs and not any(r.do == "no-mount" for r in ask.rules):
            into.blobs[mount] = from_.blobs[mount]
            return Reply(201, b"", Location=f"/v2/{name}/blobs/{mount}", Docker_Content_Digest=mount)
        with lock:
            self.count += 1
            key, session = f"u{self.count}", Session(name)
            self.sessions[key] = session
        return self.reply(Reply, 202, ask, key, session)

    def upload(self, ask, name, key, Reply, error):
        if ask.command == "POST":
            return self.begin(ask, name, Reply)
        with lock:
            session = self.sessions.get(key)
            if any(r.do == "expire" for r in ask.rules):
                self.sessions.pop(key, None)
                session = None
        if session is None:
            return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if ask.query.get("_state") != [str(session.state)] or ask.query.get("more") != ["a/b"]:
            return error(400, "BLOB_UPLOAD_INVALID", "an old location")
        if ask.command == "DELETE":
            self.sessions.pop(key, None)
            return Reply(204)
        if ask.command == "GET":
            return self.reply(Reply, 204, ask, key, session)
        refusal = self.add(ask, session, key, Reply, error)
        if refusal:
            return refusal
        if ask.command == "PATCH":
            return self.reply(Reply, 202, ask, key, session)
        return self.finish(ask, name, key, session, Reply, error)

    def add(self, ask, session, key, Reply, error):
        span = ask.headers.get("Content-Range")
        if span:
            first, _, last = span.partition("-")
            if int(first) != len(session.data) or int(last) - int(first) + 1 != ask.size:
                return self.reply(Reply, 416, ask, key, session)
        elif ask.command == "PATCH" or (ask.size and session.data):
            return error(400, "SIZE_INVALID", "no Content-Range")
        least = next((int(r.args) for r in ask.rules if r.do == "min-chunk"), 0)
        if ask.command == "PATCH" and ask.size < least and not self.is_last(ask, session):
            return error(400, "SIZE_INVALID", "the chunk is too small")
        session.data += ask.body
        return None

    @staticmethod
    def is_last(ask, session):
        """The blob's size is in the query of no request: tests say it."""
        total = next((int(r.args) for r in ask.rules if r.do == "total"), None)
        return total is not None and len(session.data) + ask.size == total

    def finish(self, ask, name, key, session, Reply, error):
        want = ask.query.get("digest", [""])[0]
        self.sessions.pop(key, None)
        if digest(bytes(session.data)) != want:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.repository(name, make=True).blobs[want] = bytes(session.data)
        return Reply(201, b"", Location=f"/v2/{name}/blobs/{want}", Docker_Content_Digest=want)

    # Manifests.

    def put_manifest(self, ask, name, ref, Reply, error):
        repository, got = self.repository(name, make=True), digest(ask.body)
        document = json.loads(ask.body)
        for item in [document.get("config"), *document.get("layers", [])]:
            if item and item["digest"] not in repository.blobs:
                return error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
        for item in document.get("manifests", []):
            if item["digest"] not in repository.manifests and not any(r.do == "referrers-tag" for r in ask.rules):
                return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if ref.startswith("sha256:") and ref != got:
            return error(400, "DIGEST_INVALID", "the digest is another")
        with lock:
            repository.manifests[got] = (ask.headers["Content-Type"], ask.body)
            if not ref.startswith("sha256:"):
                repository.tags[ref] = got
        reply = Reply(201, b"", Location=f"/v2/{name}/manifests/{got}", Docker_Content_Digest=got)
        if "subject" in document and any(r.do == "referrers" for r in ask.rules):
            reply.headers["OCI-Subject"] = document["subject"]["digest"]
        return reply

    def list_tags(self, ask, name, repository, Reply):
        tags, page = sorted(repository.tags), next((int(r.args) for r in ask.rules if r.do == "page"), 1000)
        last = ask.query.get("last", [""])[0]
        shown = [t for t in tags if t > last][:page]
        reply = Reply(200, json.dumps({"name": name, "tags": shown}).encode(), Content_Type="application/json")
        if shown and shown[-1] != tags[-1]:
            reply.headers["Link"] = f'</v2/{name}/tags/list?n={page}&last={shown[-1]}>; rel="next"'
        return reply
