package sasl

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/xdg-go/scram"
)

// scramExchange is SCRAM (RFC 5802, RFC 7677). The library computes; the gs2
// header is judged here, because the client chooses one of several channel
// bindings in it and the library wants to know which beforehand.
type scramExchange struct {
	c      *Config
	hash   string
	plus   bool
	nonce  scram.NonceGeneratorFcn // nil: the library's, which is random
	conv   *scram.ServerConversation
	user   stanza.JID
	reject error // what the host said against the account, told after a right proof
}

func newSCRAM(c *Config, mechanism string) (*scramExchange, error) {
	name, isPlus := strings.CutSuffix(strings.TrimPrefix(mechanism, "SCRAM-"), plus)
	if newHash(name) == nil {
		return nil, fmt.Errorf("unknown hash %q", name)
	}
	return &scramExchange{c: c, hash: name, plus: isPlus}, nil
}

func (s *scramExchange) step(ctx context.Context, msg []byte) ([]byte, stanza.JID, error) {
	switch {
	case s.conv != nil:
		return s.final(string(msg))
	case msg == nil:
		return nil, stanza.JID{}, nil
	}
	data, err := s.first(ctx, msg)
	return data, stanza.JID{}, err
}

// first takes the client-first-message.
func (s *scramExchange) first(ctx context.Context, msg []byte) ([]byte, error) {
	if !utf8.Valid(msg) {
		return nil, fail(MalformedRequest, errors.New("message is not UTF-8"))
	}
	flag, _, _ := strings.Cut(string(msg), ",")
	binding, err := s.binding(flag)
	if err != nil {
		return nil, err
	}
	if !hasNonce(string(msg)) {
		return nil, fail(MalformedRequest, errors.New("client's nonce is empty or not printable"))
	}
	var hostErr error
	server, err := scram.HashGeneratorFcn(newHash(s.hash)).NewServer(func(name string) (scram.StoredCredentials, error) {
		var keys stanza.SCRAMKeys
		keys, hostErr = s.lookup(ctx, name)
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(keys.Salt), Iters: keys.Iterations},
			StoredKey:  keys.StoredKey,
			ServerKey:  keys.ServerKey,
		}, hostErr
	})
	if err != nil {
		return nil, fail(TemporaryAuthFailure, err)
	}
	if s.nonce != nil {
		server.WithNonceGenerator(s.nonce)
	}
	s.conv = server.NewConversationWithChannelBinding(binding)
	data, err := s.conv.Step(string(msg))
	if hostErr != nil {
		return nil, hostFailure(hostErr)
	}
	if err != nil {
		return nil, fail(MalformedRequest, err)
	}
	if err := authorize(s.conv.AuthzID(), s.user); err != nil {
		return nil, err
	}
	return []byte(data), nil
}

// hasNonce reports whether the client-first-message has a nonce as it must be,
// where the library looks for it: it takes any, the empty one included.
// See RFC 5802, section 7.
func hasNonce(msg string) bool {
	fields := strings.Split(msg, ",")
	if len(fields) < 4 {
		return true // the library refuses it
	}
	nonce, ok := strings.CutPrefix(fields[3], "r=")
	return !ok || nonce != "" && !strings.ContainsFunc(nonce, func(r rune) bool { return r < '!' || r > '~' })
}

// binding judges the channel binding flag of the client's gs2 header and
// returns the binding that it chose. The library gets none where none is used.
// See RFC 5802, section 6.
func (s *scramExchange) binding(flag string) (scram.ChannelBinding, error) {
	var none scram.ChannelBinding
	switch {
	case flag == "n":
		if s.plus {
			return none, fail(MalformedRequest, errors.New("client chose -PLUS and no channel binding"))
		}
		return none, nil
	case flag == "y":
		if s.plus {
			return none, fail(MalformedRequest, errors.New("client chose -PLUS and no channel binding"))
		}
		if s.c.offersPlus() {
			return none, fail(NotAuthorized, errors.New("client did not see the offer of channel binding: downgrade"))
		}
		return none, nil
	case strings.HasPrefix(flag, "p="):
		if !s.plus {
			return none, fail(MalformedRequest, errors.New("client wants channel binding and did not choose -PLUS"))
		}
		for _, b := range s.c.Bindings {
			if b.Type == flag[2:] {
				return scram.ChannelBinding{Type: scram.ChannelBindingType(b.Type), Data: b.Data}, nil
			}
		}
		return none, fail(NotAuthorized, fmt.Errorf("client wants channel binding %.40q", flag[2:]))
	}
	return none, fail(MalformedRequest, errors.New("message has no gs2 header"))
}

// offersPlus reports whether any mechanism with channel binding is offered.
func (c *Config) offersPlus() bool {
	return c.has(SCRAMSHA512Plus) || c.has(SCRAMSHA256Plus) || c.has(SCRAMSHA1Plus)
}

// lookup returns the keys of an account. For one that does not exist or may
// not log in, it returns keys as well and notes what to say at the end, so that
// the client sees the same messages and sizes, and we do the same work.
func (s *scramExchange) lookup(ctx context.Context, name string) (stanza.SCRAMKeys, error) {
	user, err := s.c.user(name)
	if err != nil {
		return stanza.SCRAMKeys{}, err
	}
	s.user = user
	madeUp := s.madeUp(user)
	keys, err := s.c.SCRAM.SCRAMKeys(ctx, s.hash, user)
	switch {
	case err == nil:
		return keys, s.check(keys)
	case errors.Is(err, stanza.ErrAccountDisabled) && len(keys.StoredKey) > 0:
		s.reject = fail(AccountDisabled, err)
		return keys, s.check(keys)
	case errors.Is(err, stanza.ErrAccountDisabled), errors.Is(err, stanza.ErrNoAccount), errors.Is(err, stanza.ErrNotSupported):
		s.reject = fail(NotAuthorized, err)
		if keys.Iterations > 0 {
			madeUp.Iterations = keys.Iterations
		}
		return madeUp, nil
	}
	return stanza.SCRAMKeys{}, err
}

// check refuses stored keys that cannot be right.
func (s *scramExchange) check(k stanza.SCRAMKeys) error {
	size := newHash(s.hash)().Size()
	if len(k.Salt) == 0 || len(k.StoredKey) != size || len(k.ServerKey) != size ||
		k.Iterations < 1 || k.Iterations > MaxIterations {
		return fmt.Errorf("stored %s keys of %q are damaged", s.hash, s.user)
	}
	return nil
}

// madeUp returns the keys of an account that does not exist: always the same
// for one name, hash and secret. Nobody knows a password for them, and a proof
// that fits would be refused all the same.
func (s *scramExchange) madeUp(user stanza.JID) stanza.SCRAMKeys {
	h := newHash(s.hash)
	name := s.hash + "|" + user.String()
	return stanza.SCRAMKeys{
		Salt:       mac(sha256.New, s.c.Secret, "salt|"+name)[:SaltSize],
		Iterations: DefaultIterations,
		StoredKey:  mac(h, s.c.Secret, "stored|"+name),
		ServerKey:  mac(h, s.c.Secret, "server|"+name),
	}
}

// final takes the client-final-message.
func (s *scramExchange) final(msg string) ([]byte, stanza.JID, error) {
	data, err := s.conv.Step(msg)
	if err != nil && data == "" {
		// The library's error quotes the message, and so perhaps the proof.
		return nil, stanza.JID{}, fail(MalformedRequest, errors.New("client-final-message is malformed"))
	}
	if err != nil || !s.conv.Valid() {
		return nil, stanza.JID{}, fail(NotAuthorized, errors.New("proof or channel binding is wrong"))
	}
	if s.reject != nil {
		return nil, stanza.JID{}, s.reject
	}
	return []byte(data), s.user, nil
}
