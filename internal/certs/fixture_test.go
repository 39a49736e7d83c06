package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	serial atomic.Int64
	rsaKey = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pair is a certificate with its key.
type pair struct {
	*x509.Certificate
	key crypto.Signer
}

func ecKey() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// issue makes a certificate for names, valid now; change may alter it before
// it is signed. A nil issuer signs itself, a nil key is a new one.
func issue(issuer *pair, key crypto.Signer, change func(*x509.Certificate), names ...string) *pair {
	t := &x509.Certificate{
		SerialNumber:          big.NewInt(serial.Add(1)),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		DNSNames:              names,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(t)
	}
	if key == nil {
		key = ecKey()
	}
	parent, signer := t, key
	if issuer != nil {
		parent, signer = issuer.Certificate, issuer.key
	}
	der := must(x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer))
	return &pair{must(x509.ParseCertificate(der)), key}
}

func newCA(issuer *pair, key crypto.Signer, name string) *pair {
	return issue(issuer, key, func(t *x509.Certificate) {
		t.IsCA = true
		t.KeyUsage = x509.KeyUsageCertSign
		t.Subject = pkix.Name{CommonName: name}
	})
}

func (p *pair) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Raw})
}

func (p *pair) keyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(p.key))})
}

func (p *pair) both() []byte { return append(p.certPEM(), p.keyPEM()...) }

// write makes a file of parts in a directory of the test and returns its path.
func write(t testing.TB, dir, name string, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads patterns that have no problems.
func load(t testing.TB, patterns ...string) *Set {
	t.Helper()
	s, problems := Load(patterns)
	for _, p := range problems {
		t.Errorf("Load: unexpected problem: %v", p)
	}
	return s
}

// connection is a TLS connection over a pipe, after the handshake.
type connection struct {
	client       *tls.Conn
	server       tls.ConnectionState
	err          error // of the client
	serverErr    error
	close        func()
	presentation []*x509.Certificate // what the server showed
}

// queueConn queues what is written, as sockets do and pipes do not: a server of
// TLS 1.3 writes session tickets while the client is writing, too.
type queueConn struct {
	net.Conn
	queue chan []byte
}

func (c *queueConn) Write(b []byte) (int, error) {
	c.queue <- bytes.Clone(b)
	return len(b), nil
}

func (c *queueConn) run() {
	for b := range c.queue {
		c.Conn.Write(b) // an error shows at the other end
	}
}

// dial makes a connection; the server echoes.
func dial(t testing.TB, server, client *tls.Config) *connection {
	t.Helper()
	a, b := net.Pipe()
	deadline := time.Now().Add(20 * time.Second)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	c := &connection{client: tls.Client(a, client)}
	queued := &queueConn{Conn: b, queue: make(chan []byte, 64)}
	s := tls.Server(queued, server)
	shaken, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		queued.run()
		b.Close()
	}()
	go func() {
		defer close(queued.queue)
		c.serverErr = s.Handshake()
		c.server = s.ConnectionState()
		close(shaken)
		if c.serverErr == nil {
			io.Copy(s, s)
		}
	}()
	if c.err = c.client.Handshake(); c.err == nil {
		c.err = c.echo() // reads the session tickets, too
		c.presentation = c.client.ConnectionState().PeerCertificates
	} else {
		a.Close()
	}
	<-shaken
	c.close = func() {
		a.Close()
		<-done
	}
	t.Cleanup(c.close)
	return c
}

func (c *connection) echo() error {
	if _, err := c.client.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c.client, make([]byte, 1))
	return err
}

// trust is a client that asks for name and believes in the CAs.
func trust(name string, cas ...*pair) *tls.Config {
	pool := x509.NewCertPool()
	for _, ca := range cas {
		pool.AddCert(ca.Certificate)
	}
	return &tls.Config{ServerName: name, RootCAs: pool}
}
