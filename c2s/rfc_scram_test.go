package c2s_test

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strconv"
	"strings"
	"testing"
)

// rfcSCRAM is the client's side of SCRAM (RFC 5802, RFC 7677).
type rfcSCRAM struct {
	mechanism, user, password string
	gs2                       string // header, with both commas; "" for n,,
	binding                   string // channel binding data
	nonce                     string // "" for one of ours
	first                     string // client-first-message-bare, "" for the usual one

	// What the client does wrong: each changes a part of its final message.
	changeBinding, changeNonce, changeProof func(string) string
	extension                               string // before the proof, such as ",x=1"

	challenge, signature string
	salt                 []byte
	iterations           int
}

func (s *rfcSCRAM) hash() func() hash.Hash {
	switch strings.TrimSuffix(s.mechanism, "-PLUS") {
	case "SCRAM-SHA-1":
		return sha1.New
	case "SCRAM-SHA-256":
		return sha256.New
	}
	return sha512.New
}

func (s *rfcSCRAM) mac(key []byte, text string) []byte {
	m := hmac.New(s.hash(), key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func (s *rfcSCRAM) header() string {
	if s.gs2 == "" {
		return "n,,"
	}
	return s.gs2
}

func (s *rfcSCRAM) bare() string {
	if s.first != "" {
		return s.first
	}
	if s.nonce == "" {
		s.nonce = "fyko+d2lbbFgONRv9qkxdawL"
	}
	return "n=" + s.user + ",r=" + s.nonce
}

// auth is the first message.
func (s *rfcSCRAM) auth() string { return rfcAuth(s.mechanism, rfcBase64(s.header()+s.bare())) }

// response answers the challenge.
func (s *rfcSCRAM) response(t *testing.T, challenge string) string {
	t.Helper()
	s.challenge = rfcDecode(t, challenge)
	attrs := strings.Split(s.challenge, ",")
	if len(attrs) != 3 || !strings.HasPrefix(attrs[0], "r="+s.nonce) || len(attrs[0]) < len("r="+s.nonce)+12 {
		t.Fatalf("challenge: got %q, want r= with our nonce and at least 12 characters more, s= and i=", s.challenge)
	}
	var err error
	if s.salt, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(attrs[1], "s=")); err != nil || attrs[1][:2] != "s=" || len(s.salt) == 0 {
		t.Fatalf("challenge: got %q, want a salt", s.challenge)
	}
	if s.iterations, err = strconv.Atoi(strings.TrimPrefix(attrs[2], "i=")); err != nil || s.iterations < 4096 {
		t.Fatalf("challenge: got %q, want at least 4096 iterations (RFC 5802, section 5.1)", s.challenge)
	}
	nonce, binding := attrs[0][2:], rfcBase64(s.header()+s.binding)
	if s.changeNonce != nil {
		nonce = s.changeNonce(nonce)
	}
	if s.changeBinding != nil {
		binding = s.changeBinding(binding)
	}
	final := "c=" + binding + ",r=" + nonce + s.extension
	message := s.bare() + "," + s.challenge + "," + final
	proof := s.proof(t, message)
	if s.changeProof != nil {
		proof = s.changeProof(proof)
	}
	return "<response " + rfcSASL + ">" + rfcBase64(final+",p="+proof) + "</response>"
}

func (s *rfcSCRAM) proof(t *testing.T, message string) string {
	t.Helper()
	h := s.hash()
	salted, err := pbkdf2.Key(h, s.password, s.salt, s.iterations, h().Size())
	if err != nil {
		t.Fatal(err)
	}
	s.signature = base64.StdEncoding.EncodeToString(s.mac(s.mac(salted, "Server Key"), message))
	key := s.mac(salted, "Client Key")
	stored := h()
	stored.Write(key)
	signature := s.mac(stored.Sum(nil), message)
	for i := range key {
		key[i] ^= signature[i]
	}
	return base64.StdEncoding.EncodeToString(key)
}

// run plays the exchange and returns what ends it.
func (s *rfcSCRAM) run(t *testing.T, c *rfcClient) []*rfcElement {
	t.Helper()
	got := c.ask(s.auth())
	if len(got) != 1 || got[0].name.Local != "challenge" {
		return got
	}
	return c.ask(s.response(t, got[0].text))
}

// verify checks the server's signature.
func (s *rfcSCRAM) verify(t *testing.T, got []*rfcElement) {
	t.Helper()
	rfcCheck(t, "SCRAM", got, []string{"<success " + rfcSASL + ">*</success>"})
	if text := rfcDecode(t, got[len(got)-1].text); text != "v="+s.signature {
		t.Errorf("additional data: got %q, want the server's signature v=%s", text, s.signature)
	}
}

func rfcDecode(t *testing.T, text string) string {
	t.Helper()
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		t.Fatalf("base64 %q: %v", text, err)
	}
	return string(b)
}
