package sasl

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate makes a certificate that is signed with its own key.
func certificate(t *testing.T, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// connect makes a TLS connection and returns both sides' views of it.
func connect(t *testing.T, cert tls.Certificate, version uint16) (server, client tls.ConnectionState) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	s := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version})
	cl := tls.Client(b, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	if err := cl.Handshake(); err != nil {
		t.Fatal(err)
	}
	go cl.Read(make([]byte, 1)) // takes the session tickets of TLS 1.3
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return s.ConnectionState(), cl.ConnectionState()
}

func TestBindings(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum256 := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	sum384 := func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
	sum512 := func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	tests := []struct {
		name     string
		key      crypto.Signer
		version  uint16
		exporter bool
		endPoint func([]byte) []byte
	}{
		{"TLS 1.3, P-256", ecKey(t, elliptic.P256()), tls.VersionTLS13, true, sum256},
		{"TLS 1.3, P-384", ecKey(t, elliptic.P384()), tls.VersionTLS13, true, sum384},
		{"TLS 1.3, P-521", ecKey(t, elliptic.P521()), tls.VersionTLS13, true, sum512},
		{"TLS 1.3, Ed25519", ed, tls.VersionTLS13, true, nil},
		{"TLS 1.2, P-256", ecKey(t, elliptic.P256()), tls.VersionTLS12, false, sum256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert := certificate(t, tt.key)
			server, client := connect(t, cert, tt.version)
			list, err := Bindings(&server, cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			var want []Binding
			if tt.exporter {
				data, err := client.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, Binding{TLSExporter, data})
			}
			if tt.endPoint != nil {
				want = append(want, Binding{TLSServerEndPoint, tt.endPoint(client.PeerCertificates[0].Raw)})
			}
			if len(list) != len(want) {
				t.Fatalf("got %v, want %v", list, want)
			}
			for i := range want {
				if list[i].Type != want[i].Type || !bytes.Equal(list[i].Data, want[i].Data) {
					t.Errorf("binding %d: got %v, want %v", i, list[i], want[i])
				}
			}
		})
	}
}

func TestBindingsWithout(t *testing.T) {
	if list, err := Bindings(nil, nil); len(list) != 0 || err != nil {
		t.Errorf("no TLS: got %v, error %v; want nothing", list, err)
	}
	state := &tls.ConnectionState{Version: tls.VersionTLS12}
	if list, err := Bindings(state, nil); len(list) != 0 || err != nil {
		t.Errorf("TLS 1.2, certificate unknown: got %v, error %v; want nothing", list, err)
	}
	if _, err := Bindings(state, []byte("garbage")); err == nil {
		t.Error("garbage as certificate: got no error")
	}
}

// RFC 5929, section 4.1: MD5 and SHA-1 give way to SHA-256.
func TestEndPointHash(t *testing.T) {
	for a, want := range map[x509.SignatureAlgorithm]crypto.Hash{
		x509.MD5WithRSA:       crypto.SHA256,
		x509.SHA1WithRSA:      crypto.SHA256,
		x509.ECDSAWithSHA1:    crypto.SHA256,
		x509.SHA256WithRSA:    crypto.SHA256,
		x509.SHA256WithRSAPSS: crypto.SHA256,
		x509.SHA384WithRSA:    crypto.SHA384,
		x509.SHA512WithRSAPSS: crypto.SHA512,
		x509.PureEd25519:      0,
	} {
		if got := endPointHash(a); got != want {
			t.Errorf("%v: got %v, want %v", a, got, want)
		}
	}
}
