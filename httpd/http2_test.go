package httpd

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// h2 is a client of HTTP/2 that sends what it wants.
type h2 struct {
	*http2.Framer
	conn    net.Conn
	fields  bytes.Buffer
	encoder *hpack.Encoder
}

// dialH2 connects to a rig whose listener does TLS.
func dialH2(t *testing.T, r *rig) *h2 {
	t.Helper()
	conn := tls.Client(r.ln.Dial(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	c := &h2{Framer: http2.NewFramer(conn, conn), conn: conn}
	c.encoder = hpack.NewEncoder(&c.fields)
	_, err := io.WriteString(conn, http2.ClientPreface)
	if err == nil {
		err = c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// header encodes the header of a request.
func (c *h2) header(method, path string, more ...string) []byte {
	c.fields.Reset()
	for i, list := 0, append([]string{":method", method, ":scheme", "https", ":authority", "a.test", ":path", path}, more...); i < len(list); i += 2 {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: list[i], Value: list[i+1]})
	}
	return bytes.Clone(c.fields.Bytes())
}

// open begins a request.
func (c *h2) open(stream uint32, end bool, method, path string, more ...string) error {
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndHeaders: true, EndStream: end, BlockFragment: c.header(method, path, more...)})
}

// end reads until the connection has ended, or a stream has, if it is not 0. It returns
// the status of the answer, or the name of the error.
func (c *h2) end(stream uint32) string {
	status := ""
	d := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			status = f.Value
		}
	})
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return f.ErrCode.String()
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return f.ErrCode.String()
			}
		case *http2.HeadersFrame:
			_, _ = d.Write(f.HeaderBlockFragment())
			if f.StreamID == stream {
				return status
			}
		}
	}
}

// newH2Rig is a rig with TLS.
func newH2Rig(t *testing.T, h http.HandlerFunc) *rig {
	cert, _ := listentest.Certificate(t, "a.test")
	o := Defaults()
	o.RequestHandlers = map[string]string{"/there": "h"}
	return newRigOn(t, o, map[string]http.Handler{"h": h}, func(ln net.Listener) net.Listener {
		return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	})
}

// Clients of HTTP/2 that are slow lose the stream or the connection.
func TestSlowH2(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(c *h2) error
		most time.Duration
	}{
		{"nothing after the preface", func(*h2) error { return nil }, 2 * time.Minute},
		{"half a header", func(c *h2) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.header("GET", "/there")})
		}, 2 * time.Minute},
		{"no body", func(c *h2) error { return c.open(1, false, "POST", "/there", "content-length", "5") }, 3 * time.Minute},
		{"no body, for nobody", func(c *h2) error { return c.open(1, false, "POST", "/nowhere", "content-length", "5") }, 3 * time.Minute},
		{"no window for the answer", func(c *h2) error { return c.open(1, true, "GET", "/there") }, 3 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newH2Rig(t, func(w http.ResponseWriter, r *http.Request) {
					_, err := io.ReadAll(r.Body)
					for err == nil {
						_, err = w.Write(make([]byte, 1<<16))
					}
				})
				defer r.end()
				c := dialH2(t, r)
				defer c.conn.Close()
				began := time.Now()
				if err := tt.send(c); err != nil {
					t.Fatal(err)
				}
				_ = c.conn.SetReadDeadline(time.Now().Add(time.Hour))
				c.end(0)
				if took := time.Since(began); took > tt.most+time.Second {
					t.Errorf("the connection was closed after %v, want at most %v", took, tt.most)
				}
			})
		})
	}
}

// What HTTP/2 does not allow, or has no end, ends the stream or the connection.
func TestHostileH2(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(c *h2) error
		want string
	}{
		{"usual", func(c *h2) error { return c.open(1, true, "GET", "/there") }, "200"},
		{"encoding of HTTP/1.1", func(c *h2) error {
			return c.open(1, false, "POST", "/there", "transfer-encoding", "chunked")
		}, "PROTOCOL_ERROR 400"},
		{"more than was declared", func(c *h2) error {
			_ = c.open(1, false, "POST", "/there", "content-length", "1")
			return c.WriteData(1, true, []byte("abc"))
		}, "PROTOCOL_ERROR 200 STREAM_CLOSED"},
		{"less than was declared", func(c *h2) error {
			_ = c.open(1, false, "POST", "/there", "content-length", "5")
			return c.WriteData(1, true, []byte("abc"))
		}, "PROTOCOL_ERROR 413"},
		{"line end in a field", func(c *h2) error { return c.open(1, true, "GET", "/there", "x-a", "b\r\nx-forwarded-for: 127.0.0.1") }, "PROTOCOL_ERROR"},
		{"capital letters", func(c *h2) error { return c.open(1, true, "GET", "/there", "X-Forwarded-For", "127.0.0.1") }, "PROTOCOL_ERROR"},
		{"path that is none", func(c *h2) error { return c.open(1, true, "GET", "there") }, "PROTOCOL_ERROR 400"},
		{"two paths", func(c *h2) error { return c.open(1, true, "GET", "/there", ":path", "/nowhere") }, "PROTOCOL_ERROR"},
		{"two hosts", func(c *h2) error { return c.open(1, true, "GET", "/there", "host", "b.test") }, "200"}, // :authority counts
		{"CONNECT with a path", func(c *h2) error { return c.open(1, true, "CONNECT", "/there") }, "PROTOCOL_ERROR"},
		{"large header", func(c *h2) error {
			block := c.header("GET", "/there", "x-a", strings.Repeat("a", 200_000))
			err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: block[:16000]})
			for block = block[16000:]; err == nil; block = block[min(len(block), 16000):] {
				if err = c.WriteContinuation(1, len(block) <= 16000, block[:min(len(block), 16000)]); len(block) <= 16000 {
					break
				}
			}
			return nil
		}, "431 COMPRESSION_ERROR"},
		{"header without end", func(c *h2) error {
			err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.header("GET", "/there")})
			for range 10_000 {
				if err == nil {
					err = c.WriteContinuation(1, false, []byte(strings.Repeat("\x00\x01a\x01b", 2000))) // fields a: b
				}
			}
			return nil
		}, "PROTOCOL_ERROR COMPRESSION_ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newH2Rig(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err != nil {
					http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
				}
			})
			defer r.end()
			c := dialH2(t, r)
			defer c.conn.Close()
			_ = c.conn.SetDeadline(time.Now().Add(10 * time.Second))
			go func() { _ = tt.send(c) }()
			if got := c.end(1); !strings.Contains(" "+tt.want+" ", " "+got+" ") {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Streams that are opened and cancelled do not run more handlers at a time than streams
// may be open, and not many more than that wait.
func TestRapidReset(t *testing.T) {
	var running atomic.Int64
	release := make(chan struct{})
	r := newH2Rig(t, func(http.ResponseWriter, *http.Request) {
		running.Add(1)
		<-release // such as a command that does not look at its context
	})
	c := dialH2(t, r)
	_ = c.conn.SetDeadline(time.Now().Add(10 * time.Second))
	ended := make(chan string)
	go func() { ended <- c.end(0) }()
	sent := 0
	for stream := uint32(1); stream < 40_000; stream += 2 {
		if c.open(stream, true, "GET", "/there") != nil || c.WriteRSTStream(stream, http2.ErrCodeCancel) != nil {
			break
		}
		sent++
	}
	if got := <-ended; got != http2.ErrCodeEnhanceYourCalm.String() && got != "closed" {
		t.Errorf("the connection ended with %s after %d streams", got, sent)
	}
	if n := running.Load(); n > maxStreams {
		t.Errorf("%d handlers ran at a time, want at most %d", n, maxStreams)
	}
	close(release)
	_ = c.conn.Close()
	r.end()
	if n := running.Load(); n > 5*maxStreams {
		t.Errorf("%d handlers ran for streams that were cancelled, want at most %d", n, 5*maxStreams)
	}
}
