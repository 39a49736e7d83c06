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
	return contains(r.Header["Upgrade"], func(v string) bool { return strings.EqualFold(v, "websocket") })
}

// contains says whether one of the elements of lists is as f wants it.
func contains(fields []string, f func(string) bool) bool {
	for _, v := range fields {
		for item := range strings.SplitSeq(v, ",") {
			if f(strings.TrimSpace(item)) {
				return true
			}
		}
	}
	return false
}

// Terms are what a server offers to its clients.
type Terms struct {
	// Subprotocols are those of which one is agreed on: the first that the client
	// offers.
	Subprotocols []string

	// Deflate lets messages be compressed (RFC 7692), where the client wants that.
	Deflate bool
}

// Accept makes a WebSocket of a request. It has answered the request when it returns an
// error. The caller has looked at the Origin.
func Accept(w http.ResponseWriter, r *http.Request, terms Terms) (*Conn, error) {
	offered, err := check(r, terms.Subprotocols)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, err
	}
	t := &taker{ResponseWriter: w}
	if terms.Deflate {
		t.extension = acceptDeflate(offered)
	}
	shake, err := websocket.Accept(t, r, &websocket.AcceptOptions{
		Subprotocols: terms.Subprotocols, InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if t.conn != nil {
			_ = t.conn.Close()
		}
		return nil, err
	}
	protocol := shake.Subprotocol()
	_ = shake.CloseNow() // it has no connection
	c := newConn(t.conn, t.early, protocol)
	c.deflate = t.extension != ""
	return c, nil
}

// check refuses what the library lets pass (RFC 6455, sections 9.1 and 11.3.5), and
// returns the extensions that the client offers.
func check(r *http.Request, subprotocols []string) ([]extension, error) {
	if len(r.Header["Sec-Websocket-Version"]) > 1 {
		return nil, errors.New("more than one version")
	}
	offered, ok := parseExtensions(r.Header)
	if !ok {
		return nil, errors.New("malformed extensions")
	}
	ours := func(p string) bool {
		return slices.ContainsFunc(subprotocols, func(s string) bool { return strings.EqualFold(s, p) })
	}
	if !contains(r.Header["Sec-Websocket-Protocol"], ours) {
		return nil, errors.New("the client offers no subprotocol of ours; we speak " + strings.Join(subprotocols, ", "))
	}
	return offered, nil
}

// taker is the http.ResponseWriter of the handshake. It keeps the connection.
type taker struct {
	http.ResponseWriter
	conn      net.Conn
	early     []byte // what the client has sent already
	extension string // that was agreed on
}

// WriteHeader implements http.ResponseWriter.
func (t *taker) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols && t.extension != "" {
		t.Header().Set("Sec-WebSocket-Extensions", t.extension)
	}
	t.ResponseWriter.WriteHeader(status)
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
