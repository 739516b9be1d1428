"""Writes zips in the form of FORMAT.md, with stored contents. Each field of a header can be changed."""

import struct
import zlib


def stored(files):
    """Returns the entries of a zip that holds these files."""
    return [entry(name, data) for name, data in files.items()]


def entry(name, data, **central):
    """Returns an entry. `central` changes fields of the central header, and with `local_` in front of the local one."""
    fields = {
        "version": 20,
        "flags": 0,
        "method": 0,
        "time": 0,
        "date": 0x5A21,
        "crc": zlib.crc32(data),
        "packed": len(data),
        "size": len(data),
        "name": name,
        "extra": b"",
        "external": 0x81A40000,
    }
    fields |= {key: value for key, value in central.items() if not key.startswith("local_")}
    local = fields | {key[6:]: value for key, value in central.items() if key.startswith("local_")}
    return {"central": fields, "local": local, "data": data}


def header(form, fields):
    values = [fields[key] for key in ("version", "flags", "method", "time", "date", "crc", "packed", "size")]
    return struct.pack(form, *values, len(fields["name"]), len(fields["extra"]))


def written(entries, gap=b"", comment=b"", more=0):
    """Returns the zip. `gap` stands before the second entry, and `more` is added to the counts of the end record."""
    body, directory = b"", b""
    for index, e in enumerate(entries):
        body += gap if index == 1 else b""
        offset, central, local = len(body), e["central"], e["local"]
        directory += b"PK\1\2" + struct.pack("<H", 0x314) + header("<5H3I2H", central)
        directory += struct.pack("<3H2I", 0, 0, 0, central["external"], offset)
        directory += central["name"].encode() + central["extra"]
        body += b"PK\3\4" + header("<5H3I2H", local) + local["name"].encode() + local["extra"] + e["data"]
    count = len(entries) + more
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), len(comment))
    return body + directory + end + comment
