"""supervisord's XML-RPC over its unix socket, in the few forms that it speaks.

By hand, because the standard library's client takes longer to import than all that apply.py does.
"""

import socket
from xml.parsers import expat

TIMEOUT_SECONDS = 120


class Fault(Exception):
    """supervisord heard the call and refused it; `code` is one of supervisor/xmlrpc.py."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code
        self.text = text


class NotSupervisord(Exception):
    """Somebody answered, and not in XML-RPC."""


class Supervisor:
    """Its methods are supervisord's own: `Supervisor(path).getPID()`. OSError where nobody answers."""

    def __init__(self, path, seconds=TIMEOUT_SECONDS):
        self._path = path
        self._seconds = seconds

    def __getattr__(self, method):
        return lambda *parameters: answer_in(self._post(request(method, parameters)))

    def _post(self, body):
        head = f"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(self._seconds)
            connection.connect(self._path)
            connection.sendall(head.encode() + body)
            with connection.makefile("rb") as stream:
                return stream.read()


def request(method, parameters):
    values = "".join(f"<param><value>{typed(value)}</value></param>" for value in parameters)
    return f"<methodCall><methodName>supervisor.{method}</methodName><params>{values}</params></methodCall>".encode()


def typed(value):
    if isinstance(value, bool):
        return f"<boolean>{int(value)}</boolean>"
    return f"<string>{value.replace('&', '&amp;').replace('<', '&lt;')}</string>"


def answer_in(response):
    """The value that an HTTP response holds."""
    if not response:
        raise ConnectionResetError("it hung up without an answer")
    head, _, body = response.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"]:
        raise NotSupervisord(head[:100].decode(errors="replace"))
    try:
        is_fault, value = parsed(body)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise NotSupervisord(str(error)) from None
    if is_fault:
        raise Fault(value["faultCode"], value["faultString"])
    return value


SCALARS = {"string": str, "int": int, "i4": int, "boolean": lambda text: text == "1", "double": float}


def parsed(body):
    """Whether it is a fault, and the one value in it."""
    texts, names, tags = [], [], set()
    # Arrays and structs that are open, inside a list for the whole.
    open_values = [[]]

    def put(value):
        if isinstance(open_values[-1], list):
            open_values[-1].append(value)
        else:
            open_values[-1][names.pop()] = value

    def start(tag, _attributes):
        tags.add(tag)
        texts.clear()
        if tag in ("array", "struct"):
            open_values.append([] if tag == "array" else {})

    def end(tag):
        if tag == "name":
            names.append("".join(texts))
        elif tag in SCALARS:
            put(SCALARS[tag]("".join(texts)))
        elif tag in ("array", "struct"):
            put(open_values.pop())

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, texts.append
    parser.Parse(body, True)
    if "methodResponse" not in tags:
        raise ValueError("no methodResponse")
    return "fault" in tags, open_values[0][0]
