"""Reads zips with zipfile: a line for each entry, with its SHA-256, or for an error."""

import hashlib
import sys
import zipfile

for path in sys.argv[1:]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                hash = hashlib.sha256()
                with archive.open(info) as content:
                    while block := content.read(1 << 20):
                        hash.update(block)
                print(path, info.filename, hash.hexdigest(), sep="\t")
    except Exception as error:  # whatever zipfile says of a zip that is none
        print(path, "!", ascii(error), sep="\t")
