package xmppstream

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const clientHeader = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0' xml:lang='en'>"

// remote is the other end of a connection. It takes whatever comes.
type remote struct {
	net.Conn
	reader sync.WaitGroup

	mu   sync.Mutex
	cond sync.Cond
	got  []byte
	end  bool
}

// listen starts to take what comes on c.
func listen(t testing.TB, c net.Conn) *remote {
	r := &remote{Conn: c}
	r.cond.L = &r.mu
	r.reader.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			r.mu.Lock()
			r.got = append(r.got, b[:n]...)
			r.end = err != nil
			r.cond.Broadcast()
			r.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		c.Close()
		r.reader.Wait()
	})
	return r
}

// send writes, and does not return before the other side has read.
func (r *remote) send(t testing.TB, s string) {
	t.Helper()
	if _, err := io.WriteString(r, s); err != nil {
		t.Errorf("remote cannot send: %v", err)
	}
}

// await waits until s has come, or the end of everything.
func (r *remote) await(t testing.TB, s string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !strings.Contains(string(r.got), s) {
		if r.end {
			t.Fatalf("remote got %q, want %q in it", r.got, s)
		}
		r.cond.Wait()
	}
}

// all waits for the end of the connection and returns what came.
func (r *remote) all() string {
	r.reader.Wait()
	return string(r.got)
}

// pair returns a transport and what it talks to.
func pair(t testing.TB) (*TCP, *remote) {
	a, b := net.Pipe()
	s := NewTCP(a, TCPOptions{})
	t.Cleanup(func() { a.Close() })
	return s, listen(t, b)
}

// open makes the remote send its header and the transport take it.
func open(t testing.TB, s *TCP, r *remote) stanza.Header {
	t.Helper()
	var sent sync.WaitGroup
	sent.Go(func() { r.send(t, clientHeader) })
	defer sent.Wait()
	h, err := s.Open()
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return h
}

// streamCondition returns the condition of a *stanza.StreamError.
func streamCondition(err error) stanza.StreamCondition {
	var e *stanza.StreamError
	if !errors.As(err, &e) {
		return ""
	}
	return e.Condition
}

// checkXML reports what is not well-formed. A document that is only begun is
// fine when open says so.
func checkXML(t testing.TB, doc string, open bool) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		_, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v: %q", err, doc)
		}
	}
	d = xml.NewDecoder(strings.NewReader(doc))
	for {
		_, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil && !(open && strings.Contains(err.Error(), "unexpected EOF")) {
			t.Fatalf("not well-formed: %v: %q", err, doc)
		}
		if err != nil {
			return
		}
	}
}

// serverTLS returns the configuration of a server for example.com.
func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

var clientTLS = &tls.Config{InsecureSkipVerify: true}

// fake is a transport that notes what is written. Its other methods panic.
type fake struct {
	stanza.Transport
	standalone bool
	gate       chan struct{}            // nil: writes pass, else each takes one
	write      func(stanza.Batch) error // nil: fine

	mu       sync.Mutex
	batches  []string
	ends     [][]int
	deadline time.Time
	closed   int
	reason   *stanza.StreamError
}

func (f *fake) Standalone() bool { return f.standalone }

func (f *fake) Write(b stanza.Batch) error {
	if f.gate != nil {
		<-f.gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batches = append(f.batches, string(b.Bytes))
	f.ends = append(f.ends, append([]int(nil), b.Ends...))
	if f.write != nil {
		return f.write(b)
	}
	return nil
}

func (f *fake) SetWriteDeadline(d time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = d
	return nil
}

func (f *fake) Close(reason *stanza.StreamError) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	f.reason = reason
	return nil
}

func (f *fake) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.batches, "")
}

// canned is a connection with all input there and an open end for output.
type canned struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *canned) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *canned) Close() error                     { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }
func (c *canned) RemoteAddr() net.Addr             { return nil }

// discardFrom reads n bytes from a connection and then no more.
func discardFrom(c net.Conn, n int) *sync.WaitGroup {
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.CopyN(io.Discard, c, int64(n)) })
	return &reading
}
