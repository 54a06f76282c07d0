// SPDX-License-Identifier: MIT
// Terminals as programs see them: termios, window sizes, ioctl requests. Numbers only.
#pragma once
#include "base/types.h"

enum termios_iflag : u32 {
	IGNBRK = 0001,
	BRKINT = 0002,
	IGNPAR = 0004,
	PARMRK = 0010,
	INPCK = 0020,
	ISTRIP = 0040,
	INLCR = 0100,
	IGNCR = 0200,
	ICRNL = 0400,
	IUCLC = 01000,
	IXON = 02000,
	IXANY = 04000,
	IXOFF = 010000,
	IMAXBEL = 020000,
	IUTF8 = 040000,
};
enum termios_oflag : u32 {
	OPOST = 0001,
	OLCUC = 0002,
	ONLCR = 0004,
	OCRNL = 0010,
	ONOCR = 0020,
	ONLRET = 0040,
	OFILL = 0100,
	OFDEL = 0200,
	TABDLY = 014000,
	XTABS = 014000,
};
enum termios_cflag : u32 {
	CBAUD = 0010017,
	BOTHER = 0010000,
	CSIZE = 0060,
	CS5 = 0,
	CS6 = 0020,
	CS7 = 0040,
	CS8 = 0060,
	CSTOPB = 0100,
	CREAD = 0200,
	PARENB = 0400,
	PARODD = 01000,
	HUPCL = 02000,
	CLOCAL = 04000,
	CIBAUD = 002003600000,
	CRTSCTS = 020000000000,
	B9600 = 0000015,
	B38400 = 0000017,
	B115200 = 0010002,
};
enum termios_lflag : u32 {
	ISIG = 0001,
	ICANON = 0002,
	XCASE = 0004,
	ECHO = 0010,
	ECHOE = 0020,
	ECHOK = 0040,
	ECHONL = 0100,
	NOFLSH = 0200,
	TOSTOP = 0400,
	ECHOCTL = 01000,
	ECHOPRT = 02000,
	ECHOKE = 04000,
	FLUSHO = 010000,
	PENDIN = 040000,
	IEXTEN = 0100000,
	EXTPROC = 0200000,
};
enum termios_cc : u8 {
	VINTR,
	VQUIT,
	VERASE,
	VKILL,
	VEOF,
	VTIME,
	VMIN,
	VSWTC,
	VSTART,
	VSTOP,
	VSUSP,
	VEOL,
	VREPRINT,
	VDISCARD,
	VWERASE,
	VLNEXT,
	VEOL2,
	NCCS = 19,
};

struct linux_termios {
	u32 iflag, oflag, cflag, lflag;
	u8 line;
	u8 cc[NCCS];
};
static_assert(sizeof(struct linux_termios) == 36);

struct linux_termios2 {
	struct linux_termios t;
	u32 ispeed, ospeed;
};
static_assert(sizeof(struct linux_termios2) == 44);

struct linux_termio { // TCGETA
	u16 iflag, oflag, cflag, lflag;
	u8 line;
	u8 cc[8];
	u8 pad;
};
static_assert(sizeof(struct linux_termio) == 18);

struct linux_winsize {
	u16 rows, cols, xpixel, ypixel;
};

enum tty_ioctl : u32 {
	TCGETS = 0x5401,
	TCSETS,
	TCSETSW,
	TCSETSF,
	TCGETA,
	TCSETA,
	TCSETAW,
	TCSETAF,
	TCSBRK,
	TCXONC,
	TCFLSH,
	TIOCEXCL,
	TIOCNXCL,
	TIOCSCTTY,
	TIOCGPGRP,
	TIOCSPGRP,
	TIOCOUTQ,
	TIOCSTI,
	TIOCGWINSZ,
	TIOCSWINSZ,
	TIOCMGET,
	TIOCMBIS,
	TIOCMBIC,
	TIOCMSET,
	TIOCGSOFTCAR,
	TIOCSSOFTCAR,
	TIOCINQ,
	TIOCLINUX,
	TIOCCONS,
	TIOCGSERIAL,
	TIOCSSERIAL,
	TIOCPKT,
	TIOCNOTTY = 0x5422,
	TIOCSETD,
	TIOCGETD,
	TCSBRKP,
	TIOCSBRK = 0x5427,
	TIOCCBRK,
	TIOCGSID,
	TCGETS2 = 0x802c542a,
	TCSETS2 = 0x402c542b,
	TCSETSW2 = 0x402c542c,
	TCSETSF2 = 0x402c542d,
	TIOCGPTN = 0x80045430,
	TIOCSPTLCK = 0x40045431,
	TIOCGDEV = 0x80045432,
	TIOCSIG = 0x40045436,
	TIOCVHANGUP = 0x5437,
	TIOCGPKT = 0x80045438,
	TIOCGPTLCK = 0x80045439,
	TIOCGEXCL = 0x80045440,
	TIOCGPTPEER = 0x5441,
};

enum { TCOOFF, TCOON, TCIOFF, TCION };	// TCXONC
enum { TCIFLUSH, TCOFLUSH, TCIOFLUSH }; // TCFLSH
enum tty_packet : u8 {
	TIOCPKT_DATA = 0,
	TIOCPKT_FLUSHREAD = 1,
	TIOCPKT_FLUSHWRITE = 2,
	TIOCPKT_STOP = 4,
	TIOCPKT_START = 8,
	TIOCPKT_NOSTOP = 16,
	TIOCPKT_DOSTOP = 32,
	TIOCPKT_IOCTL = 64,
};
