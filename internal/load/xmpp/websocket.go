package xmpp

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
)

// Frames of RFC 6455.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA

	final  = 0x80
	masked = 0x80
)

const (
	framingOpen  = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0' to='"
	framingClose = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
	streamEnd    = "</stream:stream>"
)

// webSocket is a stream over WebSocket (RFC 7395) that looks like one over TCP: what a
// Client writes becomes frames, and frames become what it reads.
type webSocket struct {
	net.Conn
	in     *bufio.Reader
	domain string
	left   int    // bytes of the frame that is being read
	ready  []byte // what is to be read before it

	mu  sync.Mutex // held while writing: pongs are written by who reads
	out []byte
}

// upgrade makes a WebSocket of a connection.
func upgrade(conn net.Conn, path, domain string, buffer int) (*webSocket, error) {
	var nonce [16]byte
	rand.Read(nonce[:])
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n",
		path, domain, base64.StdEncoding.EncodeToString(nonce[:]))
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, max(buffer, 256))
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Protocol") != "xmpp" {
		return nil, fmt.Errorf("WebSocket at %s: %w: %s, subprotocol %q", path, ErrNotOffered, answer.Status, answer.Header.Get("Sec-WebSocket-Protocol"))
	}
	return &webSocket{Conn: conn, in: in, domain: domain}, nil
}

// Read reads what is in frames.
func (w *webSocket) Read(b []byte) (int, error) {
	for w.left == 0 && len(w.ready) == 0 {
		if err := w.frame(); err != nil {
			return 0, err
		}
	}
	if len(w.ready) > 0 {
		n := copy(b, w.ready)
		w.ready = w.ready[n:]
		return n, nil
	}
	n, err := w.in.Read(b[:min(len(b), w.left)])
	w.left -= n
	return n, err
}

// frame reads the header of the next frame, and all of one that is not for the Client.
func (w *webSocket) frame() error {
	head, err := w.in.Peek(2)
	if err != nil {
		return err
	}
	op, n, header := head[0], int(head[1]), 2
	switch n {
	case 126:
		header = 4
	case 127:
		header = 10
	}
	if head, err = w.in.Peek(header); err != nil {
		return err
	}
	switch header {
	case 4:
		n = int(binary.BigEndian.Uint16(head[2:]))
	case 10:
		n = int(binary.BigEndian.Uint64(head[2:]))
	}
	_, _ = w.in.Discard(header)
	if n < 0 || n > maxElement {
		return fmt.Errorf("frame of %d bytes", n)
	}
	switch op {
	case final | opText:
		w.left = n
		return w.framing()
	case final | opPing:
		payload := make([]byte, n)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		_, err := w.Conn.Write(appendFrame(nil, opPong, payload))
		return err
	case final | opPong:
		_, err := w.in.Discard(n)
		return err
	case final | opClose:
		return io.EOF
	}
	return fmt.Errorf("frame with the first byte %#x", op)
}

// framing translates the elements that stand for the tags of a stream.
func (w *webSocket) framing() error {
	name, err := w.in.Peek(min(len("<close"), w.left))
	if err != nil {
		return err
	}
	isOpen, isClose := bytes.HasPrefix(name, []byte("<open")), string(name) == "<close"
	if !isOpen && !isClose {
		return nil
	}
	el := make([]byte, w.left)
	if _, err := io.ReadFull(w.in, el); err != nil {
		return err
	}
	w.left = 0
	if isClose {
		w.ready = []byte(streamEnd)
		return nil
	}
	el = bytes.TrimSuffix(bytes.Replace(el, []byte("<open"), []byte("<stream:stream"), 1), []byte("</open>"))
	w.ready = append(bytes.TrimSuffix(bytes.TrimSuffix(el, []byte(">")), []byte("/")), '>')
	return nil
}

// Write writes elements, each in a frame of its own.
func (w *webSocket) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = w.out[:0]
	for rest := b; len(rest) > 0; {
		if bytes.HasPrefix(rest, []byte("<?xml")) {
			rest = rest[bytes.Index(rest, []byte("?>"))+2:]
		}
		if bytes.HasPrefix(rest, []byte("<stream:stream")) {
			_, end := nextTag(rest, 0)
			rest = rest[end:]
			w.out = appendFrame(w.out, opText, []byte(framingOpen+w.domain+"'/>"))
			continue
		}
		if bytes.HasPrefix(rest, []byte(streamEnd)) {
			w.out = appendFrame(w.out, opText, []byte(framingClose))
			break
		}
		n, err := elementLen(rest)
		if n == 0 {
			return 0, errors.Join(err, fmt.Errorf("not an element: %.60q", rest))
		}
		w.out = appendElement(w.out, rest[:n])
		rest = rest[n:]
	}
	_, err := w.Conn.Write(w.out)
	return len(b), err
}

// appendElement adds a frame with an element. Stanzas get their namespace.
func appendElement(dst, el []byte) []byte {
	end := bytes.IndexAny(el, " />")
	switch string(el[1:end]) {
	case "message", "presence", "iq":
		return appendFrame(dst, opText, el[:end], []byte(" xmlns='jabber:client'"), el[end:])
	}
	return appendFrame(dst, opText, el)
}

// appendFrame adds a frame with a payload that is in parts.
func appendFrame(dst []byte, op byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	switch {
	case n < 126:
		dst = append(dst, final|op, masked|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, final|op, masked|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, final|op, masked|127), uint64(n))
	}
	key := mathrand.Uint32()
	dst = binary.LittleEndian.AppendUint32(dst, key)
	from := len(dst)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	mask(dst[from:], uint64(key)<<32|uint64(key))
	return dst
}

// mask masks a payload (RFC 6455, section 5.3), eight bytes at a time.
func mask(b []byte, key uint64) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key)
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i & 3)))
	}
}
