#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds an initramfs (newc cpio) from Debian packages and single files.

Packages come from the mirrors that this machine's apt is set up with and stay in build/cache/deb.
Nothing is installed, no maintainer script runs, root is not needed. Of the packages that a named
package depends on, only the shared libraries travel that its ELF files really need.
The same packages and files always give the same bytes.
"""

import argparse
import fcntl
import fnmatch
import gzip
import io
import os
import platform
import re
import stat
import struct
import subprocess
import sys
import tarfile
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, "build", "cache", "deb")
APT = os.path.join(ROOT, "build", "cache", "apt")
DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
# Debian merges /usr; sbin follows bin here so that one folder holds every applet.
MERGED = {"bin": "usr/bin", "sbin": "usr/bin", "usr/sbin": "usr/bin", "lib": "usr/lib",
          "lib64": "usr/lib64"}
UNWANTED = ["usr/share/doc/*", "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*",
            "usr/share/lintian/*", "usr/share/bug/*", "usr/share/doc-base/*", "usr/share/menu/*"]
LIBRARY_FOLDERS = ["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib", "usr/lib64"]


class Failure(Exception):
    """Something the user must know; its text is the message."""


@dataclass
class Entry:
    """One inode of the archive. Several paths may share one entry: hard links."""
    mode: int
    data: bytes = b""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    device: tuple[int, int] = (0, 0)


Tree = dict[str, Entry]


def merge_usr(path: str) -> str:
    """`path` without a leading slash, and as the merged /usr has it."""
    path = os.path.normpath("/" + path).lstrip("/")
    for old, new in MERGED.items():
        if path == old or path.startswith(old + "/"):
            return merge_usr(new + path[len(old):]) if new != path else path
    return path


# --- Debian packages ------------------------------------------------------------------------------

def foreign_options(arch: str) -> list[str]:
    """apt's options for the packages of another CPU than this machine's.

    Its lists lie in a folder of ours: dpkg need not be told of the CPU, and nobody need be root.
    """
    folder = os.path.join(APT, arch)
    for name in ("state/lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    status = os.path.join(folder, "status") # nothing is installed
    with open(status, "a", encoding="utf-8"):
        pass
    settings = {"APT::Architecture": arch, "APT::Architectures": arch, "APT::Sandbox::User": "",
                "Dir::State": os.path.join(folder, "state"), "Dir::State::status": status,
                "Dir::Cache": os.path.join(folder, "cache")}
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


class Packages:
    """Fetches packages by apt and reads them as trees."""

    def __init__(self, arch: str):
        self.suffix = f":{DEBIAN_ARCH[arch]}"
        self.options = [] if arch == platform.machine() else foreign_options(DEBIAN_ARCH[arch])
        self.updated = False
        os.makedirs(CACHE, exist_ok=True)
        self.trees: dict[str, Tree] = {}

    def apt(self, *command: str, folder: str = ROOT) -> str:
        """An apt command's output. One `apt-get update` is tried when apt knows too little."""
        done = self.run(command, folder)
        if done.returncode != 0 and not self.updated:
            self.updated = True
            with open(os.path.join(CACHE, "lock"), "w", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX) # another of us may be updating just now
                done = self.run(command, folder)
                if done.returncode != 0:
                    self.update()
                    done = self.run(command, folder)
        if done.returncode != 0:
            raise Failure(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
        return done.stdout

    def run(self, command: tuple[str, ...], folder: str) -> subprocess.CompletedProcess:
        """An apt command, ended."""
        return subprocess.run([command[0], *self.options, *command[1:]], capture_output=True, text=True,
                              cwd=folder, check=False, env=dict(os.environ, LC_ALL="C"))

    def update(self) -> None:
        """Brings apt's lists up to date."""
        sudo = [] if os.geteuid() == 0 or self.options else ["sudo"]
        print(f"initrd: apt's package lists are missing or old; running "
              f"{' '.join(sudo + ['apt-get', 'update'])} for {self.suffix[1:]}", file=sys.stderr)
        if subprocess.run(sudo + ["apt-get", *self.options, "-qq", "update"], check=False).returncode != 0:
            raise Failure("apt-get update failed; see above")

    def fetch(self, names: list[str]) -> None:
        """Brings packages into the cache and reads them."""
        names = [name for name in names if name not in self.trees]
        if not names:
            return
        listing = self.apt("apt-get", "--print-uris", "download", *(n + self.suffix for n in names))
        files = {}
        for _, file, size in re.findall(r"^'([^']*)' (\S+) (\d+)", listing, re.M):
            files[file.split("_")[0]] = (file, int(size))
        for name in names:
            if name not in files:
                raise Failure(f"apt knows no package {name}{self.suffix}")
        with open(os.path.join(CACHE, "fetch.lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX) # another of us may be fetching the same just now
            self.download([name for name in names if not is_whole(*files[name])])
        for name in names:
            self.trees[name] = read_deb(os.path.join(CACHE, files[name][0]))

    def download(self, missing: list[str]) -> None:
        """Brings packages into the cache, whose lock is held."""
        if missing:
            print(f"initrd: fetching {' '.join(missing)}", file=sys.stderr)
            self.apt("apt-get", "-qq", "-o", "APT::Sandbox::User=", "download",
                     *(name + self.suffix for name in missing), folder=CACHE)

    def depends(self, names: list[str]) -> list[str]:
        """The real packages that `names` directly depend on."""
        text = self.apt("apt-cache", "depends", "--no-recommends", "--no-suggests",
                        "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances",
                        *(name + self.suffix for name in names))
        found = re.findall(r"^ [ |](?:Pre)?Depends: ([^<\s]+)", text, re.M)
        return sorted({name.split(":")[0] for name in found})


def is_whole(file: str, size: int) -> bool:
    """Is this in the cache?"""
    path = os.path.join(CACHE, file)
    return os.path.exists(path) and os.path.getsize(path) == size


def read_deb(path: str) -> Tree:
    """A package's files, with their owners and modes, whoever we are."""
    tree: Tree = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                name = merge_usr(member.name)
                if not name or any(fnmatch.fnmatch(name, pattern) for pattern in UNWANTED):
                    continue
                if member.islnk():
                    tree[name] = tree[merge_usr(member.linkname)]
                    continue
                data = b""
                if member.isreg():
                    kind, data = stat.S_IFREG, archive.extractfile(member).read()
                elif member.isdir():
                    kind = stat.S_IFDIR
                elif member.issym():
                    kind, data = stat.S_IFLNK, member.linkname.encode()
                else:
                    continue
                tree[name] = Entry(kind | member.mode, data, member.uid, member.gid,
                                   int(member.mtime))
    if process.returncode != 0:
        raise Failure(f"dpkg-deb could not read {path}")
    return tree


# --- shared libraries -----------------------------------------------------------------------------

def elf_needs(data: bytes) -> tuple[list[str], str | None]:
    """The DT_NEEDED names of a 64-bit ELF file and its interpreter's path."""
    if data[:6] != b"\x7fELF\x02\x01":
        return [], None
    phoff, = struct.unpack_from("<Q", data, 0x20)
    phentsize, phnum = struct.unpack_from("<HH", data, 0x36)
    headers = [struct.unpack_from("<IIQQQQQQ", data, phoff + i * phentsize) for i in range(phnum)]
    loads = [header for header in headers if header[0] == 1]
    needed, interpreter = [], None
    for kind, _, offset, _, _, size, _, _ in headers:
        if kind == 3:
            interpreter = data[offset:offset + size].rstrip(b"\0").decode()
        elif kind == 2:
            tags = list(struct.iter_unpack("<qQ", data[offset:offset + size // 16 * 16]))
            strtab = next(value for tag, value in tags if tag == 5)
            base = next(strtab - load[3] + load[2] for load in loads
                        if load[3] <= strtab < load[3] + load[5])
            for tag, value in tags:
                if tag == 1:
                    start = base + value
                    needed.append(data[start:data.index(b"\0", start)].decode())
    return needed, interpreter


def missing_libraries(tree: Tree) -> set[str]:
    """What ELF files of the tree ask for and the tree does not have: names, or interpreters' paths."""
    missing = set()
    present = {os.path.basename(path) for path in tree if os.path.dirname(path) in LIBRARY_FOLDERS}
    for entry in tree.values():
        if not stat.S_ISREG(entry.mode) or entry.data[:4] != b"\x7fELF":
            continue
        needed, interpreter = elf_needs(entry.data)
        missing.update(name for name in needed if name not in present)
        if interpreter and merge_usr(interpreter) not in tree:
            missing.add(merge_usr(interpreter))
    return missing


def take_libraries(tree: Tree, source: Tree) -> None:
    """Copies from a package what the tree is missing, symbolic links and their targets."""
    for name in sorted(missing_libraries(tree)):
        places = [name] if "/" in name else [f"{folder}/{name}" for folder in LIBRARY_FOLDERS]
        for path in places:
            while path in source:
                tree[path] = source[path]
                if not stat.S_ISLNK(source[path].mode):
                    break
                path = merge_usr(os.path.join("/" + os.path.dirname(path),
                                              source[path].data.decode()))


def add_packages(tree: Tree, packages: Packages, names: list[str]) -> None:
    """The packages' files and, breadth first through their dependencies, the libraries they need."""
    packages.fetch(names)
    for name in names:
        tree.update(packages.trees[name])
    seen, level, libraries = set(names), names, []
    while missing_libraries(tree):
        level = [name for name in packages.depends(level) if name not in seen] if level else []
        if not level:
            raise Failure(f"no package has {', '.join(sorted(missing_libraries(tree)))}")
        seen.update(level)
        # Those of earlier levels may be asked again, by what the later ones brought.
        libraries += [name for name in level if name.startswith(("lib", "zlib"))]
        packages.fetch(libraries)
        before = None
        while before != (before := missing_libraries(tree)):
            for name in libraries:
                take_libraries(tree, packages.trees[name])


# --- the tree ---------------------------------------------------------------------------------------

ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/usr/sbin/nologin\n"
              "user:x:1000:1000:user:/home/user:/bin/sh\n"
              "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\ndisk:x:6:\nuser:x:1000:\nnogroup:x:65534:\n",
    "shadow": "root::19000:0:99999:7:::\nuser:*:19000:0:99999:7:::\n",
    "hostname": "halyard\n",
    "hosts": "127.0.0.1\tlocalhost halyard\n::1\tlocalhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                     "services: files\nprotocols: files\n",
    "profile": "export PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin\n"
               "export PS1='\\u@\\h:\\w\\$ '\nexport HOME=${HOME:-/root} TERM=${TERM:-vt100}\n",
    "shells": "/bin/sh\n/bin/bash\n/bin/dash\n",
    "fstab": "",
}


def skeleton() -> Tree:
    """What every image has: folders, the merged /usr, accounts, and the two first device nodes."""
    tree: Tree = {}
    for path in ("dev", "proc", "sys", "run", "etc", "mnt", "home", "home/user", "usr", "usr/bin",
                 "usr/lib", "usr/lib64", "usr/share", "var", "var/lib", "var/log"):
        tree[path] = Entry(stat.S_IFDIR | 0o755)
    tree["root"] = Entry(stat.S_IFDIR | 0o700)
    tree["home/user"] = Entry(stat.S_IFDIR | 0o755, uid=1000, gid=1000)
    for path in ("tmp", "var/tmp"):
        tree[path] = Entry(stat.S_IFDIR | 0o1777)
    for path, target in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"),
                         ("lib64", "usr/lib64"), ("usr/sbin", "bin"), ("var/run", "/run")):
        tree[path] = Entry(stat.S_IFLNK | 0o777, target.encode())
    for name, text in ETC.items():
        mode = 0o600 if name == "shadow" else 0o644
        tree["etc/" + name] = Entry(stat.S_IFREG | mode, text.encode())
    tree["dev/console"] = Entry(stat.S_IFCHR | 0o600, device=(5, 1))
    tree["dev/null"] = Entry(stat.S_IFCHR | 0o666, device=(1, 3))
    return tree


def add_applets(tree: Tree) -> None:
    """A hard link to busybox for each applet that no package brings.

    Making them here and not by `busybox --install` saves their time at each boot. The names are
    read from the binary, which may be for another CPU.
    """
    busybox = tree.get("usr/bin/busybox")
    if busybox is None:
        raise Failure("--applets needs a package that has /bin/busybox")
    start = busybox.data.find(b"\0[\0[[\0")
    if start < 0:
        raise Failure("no list of applets in /bin/busybox")
    names = []
    for name in busybox.data[start + 1:start + 16384].split(b"\0"):
        if not re.fullmatch(rb"[a-z0-9_.\[-]+", name) or names and name <= names[-1]:
            break
        names.append(name)
    for name in names:
        tree.setdefault("usr/bin/" + name.decode(), busybox)


def add_file(tree: Tree, source: str, destination: str, mode: int | None) -> None:
    """A file of the host."""
    with open(source, "rb") as file:
        data = file.read()
    if mode is None:
        mode = 0o755 if os.stat(source).st_mode & 0o100 else 0o644
    tree[merge_usr(destination)] = Entry(stat.S_IFREG | mode, data)


def archive(tree: Tree) -> bytes:
    """The tree as a newc archive: parents first, the data of hard links with their last name."""
    for path in list(tree):
        while path := os.path.dirname(path):
            tree.setdefault(path, Entry(stat.S_IFDIR | 0o755))
    newest = max((entry.mtime for entry in tree.values()), default=0)
    names: dict[int, list[str]] = {}
    for path in sorted(tree):
        names.setdefault(id(tree[path]), []).append(path)
    out = io.BytesIO()

    def write(path: str, inode: int, entry: Entry, links: int, data: bytes) -> None:
        name = path.encode() + b"\0"
        fields = (inode, entry.mode, entry.uid, entry.gid, links, entry.mtime or newest, len(data),
                  0, 0, *entry.device, len(name), 0)
        out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        out.write(bytes(-out.tell() % 4) + data)
        out.write(bytes(-out.tell() % 4))

    inodes: dict[int, int] = {}
    for path in sorted(tree):
        entry = tree[path]
        paths = names[id(entry)]
        inode = inodes.setdefault(id(entry), len(inodes) + 1)
        links = 2 if stat.S_ISDIR(entry.mode) else len(paths)
        write(path, inode, entry, links, entry.data if path == paths[-1] else b"")
    write("TRAILER!!!", 0, Entry(0, mtime=0), 1, b"")
    out.write(bytes(-out.tell() % 512))
    return out.getvalue()


def overlay(files: dict[str, tuple[int, bytes]]) -> bytes:
    """A small archive of regular files, path → (mode, data), to append to another archive."""
    return archive({path: Entry(stat.S_IFREG | mode, data) for path, (mode, data) in files.items()})


def write_if_changed(path: str, data: bytes) -> None:
    """Replaces the file at once, so that a boot never reads half of it."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.replace(temporary, path)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    parser.add_argument("--arch", default="x86_64", choices=DEBIAN_ARCH)
    parser.add_argument("--package", "-p", action="append", default=[], metavar="NAME",
                        help="a Debian package, with the libraries its programs need")
    parser.add_argument("--applets", action="store_true", help="link busybox's applets")
    parser.add_argument("--init", metavar="FILE", help="becomes /init")
    parser.add_argument("--file", action="append", default=[], metavar="SRC:DST[:MODE]",
                        help="copy a file; DST ending in / is a folder")
    parser.add_argument("--link", action="append", default=[], metavar="TARGET:DST",
                        help="a symbolic link")
    parser.add_argument("--gzip", type=int, default=0, choices=range(10), metavar="LEVEL",
                        help="compress (default: not, which boots fastest)")
    parser.add_argument("--extract", metavar="PATH",
                        help="write only this file of the tree to the output, as it is")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Builds the tree in the order: skeleton, packages, applets, files, links."""
    options = parse(arguments)
    tree = skeleton()
    if options.package:
        add_packages(tree, Packages(options.arch), options.package)
    if options.extract:
        entry = tree.get(merge_usr(options.extract))
        if entry is None or not stat.S_ISREG(entry.mode):
            raise Failure(f"no file {options.extract} in {' '.join(options.package)}")
        write_if_changed(options.output, entry.data)
        os.chmod(options.output, stat.S_IMODE(entry.mode))
        return
    for item in options.file + ([f"{options.init}:/init:755"] if options.init else []):
        source, destination, *mode = item.split(":")
        if destination.endswith("/"):
            destination += os.path.basename(source)
        add_file(tree, source, destination, int(mode[0], 8) if mode else None)
    for item in options.link:
        target, destination = item.split(":")
        tree[merge_usr(destination)] = Entry(stat.S_IFLNK | 0o777, target.encode())
    if options.applets:
        add_applets(tree)
    data = archive(tree)
    if options.gzip:
        data = gzip.compress(data, options.gzip, mtime=0)
    write_if_changed(options.output, data)
    if missing := missing_libraries(tree):
        raise Failure(f"programs in the image miss {', '.join(sorted(missing))}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(f"initrd: {failure}")
