package wsock

//lint:file-ignore SA1019 the library goes on under another path; this one is what embedders may have already

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"nhooyr.io/websocket"
)

// IsUpgrade says whether a request wants to be a WebSocket.
func IsUpgrade(r *http.Request) bool {
	return slices.ContainsFunc(r.Header["Upgrade"], func(v string) bool { return strings.EqualFold(strings.TrimSpace(v), "websocket") })
}

// Accept makes a WebSocket of a request, for one of the subprotocols that the client
// offers: the first of ours that is among them. It has answered the request when it
// returns an error. The caller has looked at the Origin.
func Accept(w http.ResponseWriter, r *http.Request, subprotocols ...string) (*Conn, error) {
	if !offers(r, subprotocols) {
		err := errors.New("the client offers no subprotocol of ours; we speak " + strings.Join(subprotocols, ", "))
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, err
	}
	t := &taker{ResponseWriter: w}
	shake, err := websocket.Accept(t, r, &websocket.AcceptOptions{
		Subprotocols: subprotocols, InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if t.conn != nil {
			_ = t.conn.Close()
		}
		return nil, err
	}
	protocol := shake.Subprotocol()
	_ = shake.CloseNow() // it has no connection
	return newConn(t.conn, t.early, protocol), nil
}

func offers(r *http.Request, subprotocols []string) bool {
	for _, v := range r.Header["Sec-Websocket-Protocol"] {
		for p := range strings.SplitSeq(v, ",") {
			if slices.ContainsFunc(subprotocols, func(s string) bool { return strings.EqualFold(s, strings.TrimSpace(p)) }) {
				return true
			}
		}
	}
	return false
}

// taker is the http.ResponseWriter of the handshake. It keeps the connection.
type taker struct {
	http.ResponseWriter
	conn  net.Conn
	early []byte // what the client has sent already
}

// Hijack implements http.Hijacker.
func (t *taker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	b, _ := rw.Reader.Peek(rw.Reader.Buffered())
	t.conn, t.early = conn, bytes.Clone(b)
	return nowhere{}, bufio.NewReadWriter(bufio.NewReaderSize(nowhere{}, 16), bufio.NewWriterSize(nowhere{}, 16)), nil
}

// nowhere is a connection on which nothing comes.
type nowhere struct{}

func (nowhere) Read([]byte) (int, error)         { return 0, io.EOF }
func (nowhere) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (nowhere) Close() error                     { return nil }
func (nowhere) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (nowhere) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (nowhere) SetDeadline(time.Time) error      { return nil }
func (nowhere) SetReadDeadline(time.Time) error  { return nil }
func (nowhere) SetWriteDeadline(time.Time) error { return nil }
