package c2s_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var rfcSCRAMHashes = []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"}

// rfcSecured returns a client on an open stream within TLS.
func (s *rfcServer) rfcSecured(certs ...tls.Certificate) *rfcClient {
	s.t.Helper()
	c := s.dial().login("", "", rfcOpened)
	c.startTLS(certs...)
	c.open()
	return c
}

// rfcBinding returns channel binding data (RFC 9266; RFC 5929, section 4).
func (c *rfcClient) rfcBinding(kind string) string {
	c.t.Helper()
	if kind == "tls-server-end-point" {
		sum := sha256.Sum256(c.state.PeerCertificates[0].Raw)
		return string(sum[:])
	}
	b, err := c.state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

func TestRFCSCRAM(t *testing.T) {
	for _, m := range rfcSCRAMHashes {
		rfcTest(t, "RFC 5802 §3 "+m, nil, func(t *testing.T, s *rfcServer) {
			c := s.dial().login("", "", rfcOpened)
			scram := &rfcSCRAM{mechanism: m, user: "romeo", password: rfcPassword}
			scram.verify(t, scram.run(t, c))
			c.open()
			c.must(rfcBindIQ("x"), "<iq type='result'><bind "+rfcBind+"><jid>romeo@one.example/x</jid></bind></iq>")
		})
		for _, kind := range []string{"tls-exporter", "tls-server-end-point"} {
			rfcTest(t, "RFC 5802 §6 "+m+"-PLUS "+kind, rfcWithTLS, func(t *testing.T, s *rfcServer) {
				c := s.rfcSecured()
				scram := &rfcSCRAM{mechanism: m + "-PLUS", user: "romeo", password: rfcPassword, gs2: "p=" + kind + ",,", binding: c.rfcBinding(kind)}
				scram.verify(t, scram.run(t, c))
			})
			rfcTest(t, "RFC 5802 §6 "+m+"-PLUS of another channel, "+kind, rfcWithTLS, func(t *testing.T, s *rfcServer) {
				c := s.rfcSecured()
				scram := &rfcSCRAM{mechanism: m + "-PLUS", user: "romeo", password: rfcPassword, gs2: "p=" + kind + ",,", binding: strings.Repeat("x", 32)}
				rfcCheck(t, m, scram.run(t, c), []string{rfcFailure("not-authorized")})
			})
		}
	}
	for name, gs2 := range map[string]string{"n": "n,,", "with own authorization identity": "n,a=romeo@one.example,"} {
		rfcTest(t, "RFC 5802 §6 no binding within TLS, "+name, rfcWithTLS, func(t *testing.T, s *rfcServer) {
			scram := &rfcSCRAM{mechanism: "SCRAM-SHA-256", user: "romeo", password: rfcPassword, gs2: gs2}
			scram.verify(t, scram.run(t, s.rfcSecured()))
		})
	}
	rfcTest(t, "RFC 5802 §6 y without TLS", nil, func(t *testing.T, s *rfcServer) {
		scram := &rfcSCRAM{mechanism: "SCRAM-SHA-256", user: "romeo", password: rfcPassword, gs2: "y,,"}
		scram.verify(t, scram.run(t, s.dial().login("", "", rfcOpened)))
	})
	for name, scram := range map[string]rfcSCRAM{
		"in the first message": {first: "n=romeo,r=abcdefghijkl,x=1", nonce: "abcdefghijkl"},
		"in the final message": {extension: ",x=1"},
	} {
		rfcTest(t, "RFC 5802 §5.1 unknown extensions are ignored, "+name, nil, func(t *testing.T, s *rfcServer) {
			scram := scram
			scram.mechanism, scram.user, scram.password = "SCRAM-SHA-256", "romeo", rfcPassword
			scram.verify(t, scram.run(t, s.dial().login("", "", rfcOpened)))
		})
	}
	rfcTest(t, "RFC 6120 §6.4.2 SCRAM without initial response", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		c.must("<auth "+rfcSASL+" mechanism='SCRAM-SHA-1'/>", "<challenge "+rfcSASL+"/>")
		scram := &rfcSCRAM{mechanism: "SCRAM-SHA-1", user: "romeo", password: rfcPassword}
		got := c.ask("<response " + rfcSASL + ">" + rfcBase64("n,,"+scram.bare()) + "</response>")
		rfcCheck(t, "first message", got, []string{"<challenge " + rfcSASL + ">*</challenge>"})
		scram.verify(t, c.ask(scram.response(t, got[0].text)))
	})
}

func TestRFCSCRAMRefused(t *testing.T) {
	flip := func(s string) string {
		if s[0] == 'A' {
			return "B" + s[1:]
		}
		return "A" + s[1:]
	}
	for name, row := range map[string]struct {
		scram rfcSCRAM
		want  string
	}{
		"§5.1 wrong password":                   {rfcSCRAM{password: "wrong"}, "not-authorized"},
		"§5.1 wrong proof":                      {rfcSCRAM{changeProof: flip}, "not-authorized"},
		"§5.1 short proof":                      {rfcSCRAM{changeProof: func(string) string { return "AAAA" }}, "not-authorized|malformed-request"},
		"§5.1 proof that is no base64":          {rfcSCRAM{changeProof: func(string) string { return "!" }}, "not-authorized|malformed-request|incorrect-encoding"},
		"§5.1 other nonce":                      {rfcSCRAM{changeNonce: flip}, "not-authorized|malformed-request"},
		"§5.1 nonce of the client alone":        {rfcSCRAM{nonce: "abcdefghijkl", changeNonce: func(string) string { return "abcdefghijkl" }}, "not-authorized|malformed-request"},
		"§5.1 other header in the end":          {rfcSCRAM{changeBinding: func(string) string { return rfcBase64("y,,") }}, "not-authorized|malformed-request"},
		"§5.1 binding data without binding":     {rfcSCRAM{changeBinding: func(string) string { return rfcBase64("n,,x") }}, "not-authorized|malformed-request"},
		"§5.1 mandatory extension":              {rfcSCRAM{first: "m=x,n=romeo,r=abcdefghijkl"}, "not-authorized|malformed-request"},
		"§5.1 no nonce":                         {rfcSCRAM{first: "n=romeo"}, "not-authorized|malformed-request"},
		"§5.1 empty nonce":                      {rfcSCRAM{first: "n=romeo,r="}, "not-authorized|malformed-request"},
		"§5.1 no user":                          {rfcSCRAM{first: "n=,r=abcdefghijkl"}, "not-authorized|malformed-request"},
		"§5.1 broken escape in the user":        {rfcSCRAM{first: "n=ro=meo,r=abcdefghijkl"}, "not-authorized|malformed-request"},
		"§5.1 other authorization identity":     {rfcSCRAM{gs2: "n,a=juliet@one.example,"}, "invalid-authzid"},
		"§6 y though the server binds":          {rfcSCRAM{gs2: "y,,"}, "not-authorized|malformed-request"},
		"§6 binding without -PLUS":              {rfcSCRAM{gs2: "p=tls-exporter,,"}, "not-authorized|malformed-request"},
		"§7 no such flag":                       {rfcSCRAM{gs2: "x,,"}, "not-authorized|malformed-request"},
		"§6 unknown binding":                    {rfcSCRAM{mechanism: "SCRAM-SHA-256-PLUS", gs2: "p=tls-unknown,,"}, "not-authorized|malformed-request"},
		"§6 -PLUS without binding":              {rfcSCRAM{mechanism: "SCRAM-SHA-256-PLUS", gs2: "n,,"}, "not-authorized|malformed-request"},
		"§6 -PLUS with empty data":              {rfcSCRAM{mechanism: "SCRAM-SHA-256-PLUS", gs2: "p=tls-exporter,,"}, "not-authorized"},
		"§6 tls-unique is not there in TLS 1.3": {rfcSCRAM{mechanism: "SCRAM-SHA-256-PLUS", gs2: "p=tls-unique,,"}, "not-authorized|malformed-request"},
	} {
		rfcTest(t, "RFC 5802 "+name, rfcWithTLS, func(t *testing.T, s *rfcServer) {
			scram := row.scram
			if scram.mechanism == "" {
				scram.mechanism = "SCRAM-SHA-256"
			}
			if scram.password == "" {
				scram.password = rfcPassword
			}
			scram.user = "romeo"
			if _, nonce, ok := strings.Cut(scram.first, "r="); ok {
				scram.nonce = nonce
			}
			rfcCheck(t, name, scram.run(t, s.rfcSecured()), []string{rfcFailure(row.want)})
		})
	}
}

// TestRFCUnknownUser: nobody can tell which accounts exist.
// See RFC 6120, sections 6.5.10 and 13.11, and RFC 5802, section 5.1.
func TestRFCUnknownUser(t *testing.T) {
	rfcTest(t, "6.5.10 PLAIN", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		known, unknown := rfcRaw(c.ask(rfcPlain("romeo", "wrong"))), rfcRaw(c.ask(rfcPlain("tybalt", "wrong")))
		if known != unknown {
			t.Errorf("unknown user: got %s, want %s as for a wrong password", unknown, known)
		}
	})
	for _, m := range rfcSCRAMHashes {
		rfcTest(t, "6.5.10 "+m, nil, func(t *testing.T, s *rfcServer) {
			exchange := func(user, nonce string) (*rfcSCRAM, string) {
				scram := &rfcSCRAM{mechanism: m, user: user, password: "wrong", nonce: nonce}
				return scram, rfcRaw(scram.run(t, s.dial().login("", "", rfcOpened)))
			}
			known, wrong := exchange("romeo", "abcdefghijklmnop")
			unknown, answer := exchange("tybalt", "abcdefghijklmnop")
			again, _ := exchange("tybalt", "ponmlkjihgfedcba")
			other, _ := exchange("mercutio", "abcdefghijklmnop")
			if answer != wrong {
				t.Errorf("unknown user: got %s, want %s", answer, wrong)
			}
			if len(unknown.challenge) != len(known.challenge) || unknown.iterations != known.iterations || len(unknown.salt) != len(known.salt) {
				t.Errorf("challenge of an unknown user: got %s, want one as %s", unknown.challenge, known.challenge)
			}
			if string(unknown.salt) != string(again.salt) || string(unknown.salt) == string(other.salt) {
				t.Errorf("salts: got %x and %x for one unknown user, %x for another, want the first two alike", unknown.salt, again.salt, other.salt)
			}
			if unknown.challenge == again.challenge {
				t.Errorf("challenges: got %s twice, want another nonce", again.challenge)
			}
		})
	}
}

// rfcClientCertificate makes a certificate with an xmppAddr (RFC 6120,
// section 13.7.1.4), signed by itself, which is its own CA.
func rfcClientCertificate(t *testing.T, address string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	type otherName struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: must(asn1.MarshalWithParams(address, "utf8"))}
	name := must(asn1.MarshalWithParams(otherName{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}, text}, "tag:0"))
	names := must(asn1.Marshal([]asn1.RawValue{{FullBytes: name}}))
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}},
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key))
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestRFCExternal(t *testing.T) {
	cert, pool := rfcClientCertificate(t, "romeo@one.example")
	stranger, _ := rfcClientCertificate(t, "romeo@one.example")
	verify := func(c *rfcConfig) {
		rfcWithTLS(c)
		c.options.TLSVerify = true
		c.options.TLS.ClientCAs = pool
	}
	ok, none := "<success "+rfcSASL+"/>", rfcFailure("invalid-mechanism|not-authorized")
	for name, row := range map[string]struct {
		certs   []tls.Certificate
		offered bool
		authzid string // as sent
		want    string
	}{
		"XEP-0178 certificate":                      {[]tls.Certificate{cert}, true, "=", ok},
		"XEP-0178 authorization identity":           {[]tls.Certificate{cert}, true, rfcBase64("romeo@one.example"), ok},
		"XEP-0178 another user":                     {[]tls.Certificate{cert}, true, rfcBase64("juliet@one.example"), rfcFailure("invalid-authzid|not-authorized")},
		"XEP-0178 another host":                     {[]tls.Certificate{cert}, true, rfcBase64("romeo@two.example"), rfcFailure("invalid-authzid|not-authorized")},
		"RFC 6120 §6.3.4 no certificate":            {nil, false, "=", none},
		"RFC 6120 §6.3.4 certificate of another CA": {[]tls.Certificate{stranger}, false, "=", none},
		"RFC 6120 §6.3.4 no certificate but a name": {nil, false, rfcBase64("romeo@one.example"), none},
	} {
		rfcTest(t, name, verify, func(t *testing.T, s *rfcServer) {
			c := s.dial().login("", "", rfcOpened)
			c.startTLS(row.certs...)
			if features := c.open(); strings.Contains(features.raw, ">EXTERNAL<") != row.offered {
				t.Errorf("features: got %s, want EXTERNAL there: %v", features.raw, row.offered)
			}
			rfcCheck(t, name, c.ask(rfcAuth("EXTERNAL", row.authzid)), []string{row.want})
		})
	}
	rfcTest(t, "XEP-0178 account does not exist", verify, func(t *testing.T, s *rfcServer) {
		if err := s.host.Accounts.Remove(t.Context(), rfcJID(t, "romeo@one.example"), stanza.JID{}); err != nil {
			t.Fatal(err)
		}
		rfcCheck(t, "EXTERNAL", s.rfcSecured(cert).ask(rfcAuth("EXTERNAL", "=")), []string{rfcFailure("not-authorized")})
	})
}

func rfcJID(t *testing.T, text string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(text)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
