"""A TCP proxy that can fail the way networks do. One thread, any number of connections."""
import selectors
import socket
import threading
import time


class Proxy:
    def __init__(self, target_port):
        self.target = ("127.0.0.1", target_port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        self.connections = 0
        self.delay = 0.0
        self.hole = False      # nothing passes, nothing is closed
        self.refuse = False    # new connections are closed at once
        self.lock = threading.Lock()
        self.stopped = False
        self.sel = selectors.DefaultSelector()
        self.listener.setblocking(False)
        self.sel.register(self.listener, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped:
            for key, _ in self.sel.select(0.05):
                if key.data is None:
                    self._accept()
                elif not self.hole:
                    self._forward(key.fileobj, key.data)
            if self.hole:
                time.sleep(0.02)

    def _accept(self):
        try:
            a, _ = self.listener.accept()
        except OSError:
            return
        if self.refuse:
            a.close()
            return
        try:
            b = socket.create_connection(self.target, 2)
        except OSError:
            a.close()
            return
        with self.lock:
            self.connections += 1
            self.pairs.append((a, b))
            self.sel.register(a, selectors.EVENT_READ, b)
            self.sel.register(b, selectors.EVENT_READ, a)

    def _forward(self, source, to):
        try:
            data = source.recv(1 << 18)
            if self.delay:
                time.sleep(self.delay)
            if data:
                to.setblocking(True)
                to.sendall(data)
                return
        except OSError:
            pass
        self._close(source, to)

    def _close(self, a, b):
        with self.lock:
            for s in (a, b):
                try:
                    self.sel.unregister(s)
                except (KeyError, ValueError):
                    pass
                s.close()
            self.pairs = [p for p in self.pairs if a not in p]

    def cut(self):
        """Every connection ends, and no new one comes about."""
        self.refuse = True
        for a, b in list(self.pairs):
            self._close(a, b)

    def mend(self):
        self.refuse = self.hole = False
        self.delay = 0.0

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.cut()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
