package websocket_test

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// The opcodes. See RFC 6455, section 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// frame is one frame of a client, which need not follow the rules.
type frame struct {
	op       byte
	payload  string
	more     bool   // without FIN
	rsv      byte   // RSV1 is 4, RSV2 2, RSV3 1
	bare     bool   // without mask
	zero     bool   // masked with zeros
	width    int    // bytes of the extended length; 0: as few as it takes
	announce uint64 // length that the header says; 0: that of payload
}

func text(payload string) frame { return frame{op: opText, payload: payload} }
func ping(payload string) frame { return frame{op: opPing, payload: payload} }

func goodbye(code uint16, reason string) frame {
	return frame{op: opClose, payload: string(binary.BigEndian.AppendUint16(nil, code)) + reason}
}

// fragments is a text message in as many frames as there are pieces.
func fragments(pieces ...string) []frame {
	fs := make([]frame, len(pieces))
	for i, p := range pieces {
		fs[i] = frame{payload: p, more: i < len(pieces)-1}
	}
	fs[0].op = opText
	return fs
}

// appendTo appends the frame as it goes over the wire.
func (f frame) appendTo(b []byte) []byte {
	first := f.rsv<<4 | f.op
	if !f.more {
		first |= 0x80
	}
	var masked byte = 0x80
	if f.bare {
		masked = 0
	}
	n := f.announce
	if n == 0 {
		n = uint64(len(f.payload))
	}
	width := f.width
	if width == 0 {
		width = shortest(n)
	}
	switch b = append(b, first); width {
	case 8:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), n)
	case 2:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = append(b, masked|byte(n))
	}
	if f.bare {
		return append(b, f.payload...)
	}
	var key [4]byte
	if !f.zero {
		_, _ = rand.Read(key[:])
	}
	b = append(b, key[:]...)
	for i := range len(f.payload) {
		b = append(b, f.payload[i]^key[i%4])
	}
	return b
}

// shortest is how many bytes of extended length a length takes.
func shortest(n uint64) int {
	switch {
	case n < 126:
		return 0
	case n < 1<<16:
		return 2
	}
	return 8
}

// patience is how long a test waits for what must come. No test passes because it is over.
const patience = 30 * time.Second

// wire is the client's end of a connection.
type wire struct {
	t       testing.TB
	c       net.Conn
	tcp     *net.TCPConn // below c
	in      *bufio.Reader
	jid     string // after login
	deflate bool   // RSV1 is negotiated: see RFC 7692
	closed  bool   // the server's close frame has come
	attacks bool   // the connection may be reset: see RFC 6455, section 7.1.1
}

// write sends bytes. That the server may have closed the connection is seen by reading.
func (w *wire) write(b []byte) {
	w.t.Helper()
	if _, err := w.c.Write(b); errors.Is(err, net.ErrClosed) {
		w.t.Fatal(err)
	}
}

// send sends frames in one write.
func (w *wire) send(fs ...frame) {
	w.t.Helper()
	var b []byte
	for _, f := range fs {
		b = f.appendTo(b)
	}
	w.write(b)
}

// say sends text messages of one frame each.
func (w *wire) say(messages ...string) {
	w.t.Helper()
	for _, m := range messages {
		w.send(text(m))
	}
}

// incoming is one frame of the server, or the end of the connection.
type incoming struct {
	op      byte
	payload string
	rsv     byte
	more    bool
	end     bool
}

func (w *wire) full(b []byte) bool {
	w.t.Helper()
	_ = w.c.SetReadDeadline(time.Now().Add(patience))
	switch _, err := io.ReadFull(w.in, b); {
	case err == nil:
		return true
	case errors.Is(err, io.EOF), w.attacks && errors.Is(err, syscall.ECONNRESET):
		return false
	case errors.Is(err, syscall.ECONNRESET):
		w.t.Fatal("the connection was reset, want it closed cleanly (RFC 6455, section 7.1.1)")
	default:
		w.t.Fatal(err)
	}
	return false
}

// frame reads a frame and checks it by the rules for servers.
// See RFC 6455, sections 5.1, 5.2, 5.5 and 5.5.1.
func (w *wire) frame() incoming {
	w.t.Helper()
	var head [2]byte
	if !w.full(head[:]) {
		return incoming{end: true}
	}
	f := incoming{op: head[0] & 0xf, rsv: head[0] >> 4 & 7, more: head[0]&0x80 == 0}
	n, width := uint64(head[1]&0x7f), 0
	switch n {
	case 126:
		width = 2
	case 127:
		width = 8
	}
	if width > 0 {
		ext := make([]byte, 8)
		w.full(ext[8-width:])
		n = binary.BigEndian.Uint64(ext)
	}
	if n > 16<<20 {
		w.t.Fatalf("a frame of %d bytes", n)
	}
	b := make([]byte, n)
	w.full(b)
	f.payload = string(b)
	switch allowed := byte(0); {
	case w.closed:
		w.t.Errorf("a frame with opcode %d after the close frame", f.op)
	case head[1]&0x80 != 0:
		w.t.Error("a masked frame of the server")
	case width != shortest(n):
		w.t.Errorf("the length %d in %d bytes", n, width)
	case f.op >= opClose && (f.more || n > 125):
		w.t.Errorf("a control frame with opcode %d of %d bytes, FIN %t", f.op, n, !f.more)
	default:
		if w.deflate && f.op == opText {
			allowed = 4
		}
		if f.rsv&^allowed != 0 {
			w.t.Errorf("a frame with opcode %d and reserved bits %b", f.op, f.rsv)
		}
	}
	w.closed = w.closed || f.op == opClose
	return f
}

// next reads a control frame or a whole message.
func (w *wire) next() incoming {
	w.t.Helper()
	f := w.frame()
	for f.more {
		g := w.frame()
		if g.end || g.op != opContinuation || g.rsv != 0 {
			w.t.Fatalf("got opcode %d, reserved bits %b within a message", g.op, g.rsv)
		}
		f.payload, f.more = f.payload+g.payload, g.more
	}
	if f.rsv == 4 && w.deflate {
		f.payload, f.rsv = inflated(w.t, f.payload), 0
	}
	if f.op == opText && !utf8.ValidString(f.payload) {
		w.t.Errorf("got %q, want UTF-8", f.payload)
	}
	return f
}

// wantPong reads a pong.
func (w *wire) wantPong(payload string) {
	w.t.Helper()
	if f := w.next(); f.op != opPong || f.payload != payload {
		w.t.Fatalf("got opcode %d with %q, want a pong with %q", f.op, f.payload, payload)
	}
}

// status is the code of a close frame; 1005 where there is none.
func (f incoming) status() int {
	if len(f.payload) < 2 {
		return 1005
	}
	return int(binary.BigEndian.Uint16([]byte(f.payload)))
}

// checkClose checks a close frame; no codes: any that a server may send.
// See RFC 6455, sections 5.5.1, 7.4.1 and 7.4.2.
func (w *wire) checkClose(f incoming, codes ...int) {
	w.t.Helper()
	if f.op != opClose || f.end {
		w.t.Fatalf("got opcode %d with %q (end %t), want a close frame with %d", f.op, f.payload, f.end, codes)
	}
	got := f.status()
	switch {
	case len(f.payload) == 1:
		w.t.Error("a close frame with half a status code")
	case len(f.payload) > 2 && !utf8.ValidString(f.payload[2:]):
		w.t.Errorf("a close frame with the reason %q", f.payload[2:])
	case len(codes) > 0 && !slices.Contains(codes, got):
		w.t.Errorf("got a close frame with %d %q, want one of %d", got, f.payload[min(2, len(f.payload)):], codes)
	case len(f.payload) >= 2 && (got < 1000 || got > 1011 || got == 1004 || got == 1005 || got == 1006 || got == 1010):
		w.t.Errorf("got a close frame with %d, which a server must not send", got)
	}
}

// wantEOF reads the end of the connection.
func (w *wire) wantEOF() {
	w.t.Helper()
	if f := w.frame(); !f.end {
		w.t.Fatalf("got opcode %d with %q, want the end of the connection", f.op, f.payload)
	}
}

// wantClose reads a close frame, answers it and reads the end of the connection.
func (w *wire) wantClose(codes ...int) {
	w.t.Helper()
	f := w.next()
	w.checkClose(f, codes...)
	w.send(frame{op: opClose, payload: f.payload[:min(2, len(f.payload))]})
	w.wantEOF()
}
