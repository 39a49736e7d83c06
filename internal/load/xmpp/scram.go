package xmpp

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// scram is one login by SCRAM-SHA-1 (RFC 5802) without channel binding.
type scram struct {
	user, password, nonce string
	keys                  *keyCache
	message               string // AuthMessage
	salted                []byte
}

func newSCRAM(user, password string, keys *keyCache) *scram {
	return &scram{user: user, password: password, nonce: rand.Text(), keys: keys}
}

// first returns the client-first-message.
func (s *scram) first() string { return "n,,n=" + s.user + ",r=" + s.nonce }

// final returns the client-final-message for a challenge of the server.
func (s *scram) final(challenge string) (string, error) {
	var nonce, salt string
	iterations := 0
	for _, field := range strings.Split(challenge, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "r":
			nonce = value
		case "s":
			salt = value
		case "i":
			iterations, _ = strconv.Atoi(value)
		}
	}
	if !strings.HasPrefix(nonce, s.nonce) || iterations < 1 || iterations > maxIterations {
		return "", fmt.Errorf("wrong SCRAM challenge %q", challenge)
	}
	var err error
	if s.salted, err = s.keys.salted(s.password, salt, iterations); err != nil {
		return "", err
	}
	withoutProof := "c=biws,r=" + nonce
	s.message = s.first()[len("n,,"):] + "," + challenge + "," + withoutProof
	clientKey := mac(s.salted, "Client Key")
	storedKey := sha1.Sum(clientKey)
	proof := mac(storedKey[:], s.message)
	subtle.XORBytes(proof, proof, clientKey)
	return withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// maxIterations keeps a server from keeping the client busy.
const maxIterations = 1 << 20

var errWrongServer = errors.New("SCRAM: the server's signature is wrong")

// verify checks the server-final-message.
func (s *scram) verify(success string) error {
	got, err := base64.StdEncoding.DecodeString(strings.TrimSpace(success))
	if err != nil {
		return err
	}
	want := "v=" + base64.StdEncoding.EncodeToString(mac(mac(s.salted, "Server Key"), s.message))
	if !hmac.Equal(got, []byte(want)) {
		return errWrongServer
	}
	return nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha1.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// keyCache remembers salted passwords, as clients do between logins (RFC 5802,
// section 5.1): deriving them would take most of a client's time.
type keyCache struct {
	mu      sync.Mutex
	keys    map[string][]byte
	derived int // keys that were not known
}

func (k *keyCache) salted(password, salt string, iterations int) ([]byte, error) {
	id := strconv.Itoa(iterations) + " " + salt + " " + password
	k.mu.Lock()
	key, ok := k.keys[id]
	k.mu.Unlock()
	if ok {
		return key, nil
	}
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		return nil, err
	}
	if key, err = pbkdf2.Key(sha1.New, password, raw, iterations, sha1.Size); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = make(map[string][]byte)
	}
	k.keys[id] = key
	k.derived++
	return key, nil
}

// misses returns how many keys had to be derived so far.
func (k *keyCache) misses() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.derived
}
