package c2s

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// scramClient is the client's side of SCRAM (RFC 5802), apart from the code
// under test.
type scramClient struct {
	hash     func() hash.Hash
	gs2      string // header: "n,,", "y,,", "p=tls-exporter,,"
	binding  []byte // data of the channel binding
	user     string
	password string

	first  string
	salted []byte
	signed string // the AuthMessage
}

func newSCRAMClient(mechanism, user, password string) *scramClient {
	c := &scramClient{gs2: "n,,", user: user, password: password, hash: sha1.New}
	switch {
	case strings.HasPrefix(mechanism, "SCRAM-SHA-256"):
		c.hash = sha256.New
	case strings.HasPrefix(mechanism, "SCRAM-SHA-512"):
		c.hash = sha512.New
	}
	return c
}

func (c *scramClient) initial() string {
	c.first = "n=" + c.user + ",r=client-nonce"
	return c.gs2 + c.first
}

func (c *scramClient) hmac(key []byte, text string) []byte {
	m := hmac.New(c.hash, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

var challengeRE = regexp.MustCompile(`^r=(client-nonce[^,]+),s=([^,]+),i=(\d+)$`)

func (c *scramClient) final(t testing.TB, challenge string) string {
	t.Helper()
	m := challengeRE.FindStringSubmatch(challenge)
	if m == nil {
		t.Fatalf("got challenge %q", challenge)
	}
	salt, err := base64.StdEncoding.DecodeString(m[2])
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(m[3])
	if err != nil {
		t.Fatal(err)
	}
	c.salted, err = pbkdf2.Key(c.hash, c.password, salt, n, c.hash().Size())
	if err != nil {
		t.Fatal(err)
	}
	bare := "c=" + base64.StdEncoding.EncodeToString(append([]byte(c.gs2), c.binding...)) + ",r=" + m[1]
	c.signed = c.first + "," + challenge + "," + bare
	key := c.hmac(c.salted, "Client Key")
	stored := c.hash()
	stored.Write(key)
	proof := make([]byte, len(key))
	subtle.XORBytes(proof, key, c.hmac(stored.Sum(nil), c.signed))
	return bare + ",p=" + base64.StdEncoding.EncodeToString(proof)
}

// verify checks that the server knows the keys, too.
func (c *scramClient) verify(t testing.TB, success string) {
	t.Helper()
	want := "v=" + base64.StdEncoding.EncodeToString(c.hmac(c.hmac(c.salted, "Server Key"), c.signed))
	if success != want {
		t.Errorf("got server signature %q, want %q", success, want)
	}
}

// scram runs an exchange up to the server's verdict, "success" or the
// condition of the failure.
func (c *client) scram(mechanism string, s *scramClient) string {
	c.t.Helper()
	c.Send(auth(mechanism, s.initial()))
	m := c.ExpectMatch(`<challenge[^>]*>([^<]*)</challenge>|<failure[^>]*><([a-z-]+)/></failure>`)
	if m[2] != "" {
		return m[2]
	}
	c.Send("<response xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString([]byte(s.final(c.t, unbase64(c.t, m[1])))) + "</response>")
	m = c.ExpectMatch(`<success[^>]*>([^<]*)</success>|<failure[^>]*><([a-z-]+)/></failure>`)
	if m[2] != "" {
		return m[2]
	}
	s.verify(c.t, unbase64(c.t, m[1]))
	return "success"
}

func unbase64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
