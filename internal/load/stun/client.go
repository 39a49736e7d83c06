package stun

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// client makes requests over a connected socket of UDP, one at a time.
type client struct {
	t            *Target
	conn         net.Conn
	realm, nonce []byte // of the last challenge
	key          []byte
	buf          []byte
}

func (t *Target) newClient(conn net.Conn) *client {
	return &client{t: t, conn: conn, buf: make([]byte, 1500)}
}

const (
	// firstWait is how long the first answer may take; it doubles each time (RFC
	// 8489, section 6.2.1).
	firstWait = 500 * time.Millisecond
	tries     = 4
	// challenges is how often a request may be asked for other credentials.
	challenges = 3
)

var errNoAnswer = errors.New("the server does not answer")

// ask sends a request, again if need be, and returns the answer, which is valid until
// the next request. It does not leave a request alone that it has just sent, so that no
// allocation is made that nobody knows of.
func (c *client) ask(ctx context.Context, r request) ([]byte, error) {
	end := time.Now().Add(4 * c.t.timeout())
	wait := firstWait
	for range tries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		// That nobody is there may be an old piece of news: the next time will tell.
		_, _ = c.conn.Write(r)
		until := time.Now().Add(wait)
		if until.After(end) {
			until = end
		}
		if b, err := c.await(r, until); b != nil || err != nil {
			return b, err
		}
		wait *= 2
	}
	return nil, errNoAnswer
}

// await returns the answer to a request, nil if none comes in time.
func (c *client) await(r request, until time.Time) ([]byte, error) {
	if err := c.conn.SetReadDeadline(until); err != nil {
		return nil, err
	}
	for {
		n, err := c.conn.Read(c.buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, nil
		case errors.Is(err, net.ErrClosed):
			return nil, err
		}
		if b := c.buf[:n]; err == nil && isMessage(b) && bytes.Equal(b[8:headerLength], r[8:headerLength]) {
			return b, nil
		}
	}
}

// call makes a request with the credentials of the last challenge, and again when it
// is challenged.
func (c *client) call(ctx context.Context, kind uint16, attributes func(request) request) ([]byte, error) {
	var last error = errNoAnswer
	for range challenges {
		r := attributes(newRequest(kind))
		if c.nonce != nil {
			r = r.add(attrUsername, []byte(c.t.User)).add(attrRealm, c.realm).add(attrNonce, c.nonce).sign(c.key)
		}
		b, err := c.ask(ctx, r)
		if err != nil {
			return nil, err
		}
		no := refused(b)
		if no == nil {
			return b, nil
		}
		if last = no; no.code != 401 && no.code != 438 {
			break
		}
		c.challenged(b)
	}
	return nil, last
}

// challenged takes the realm and the nonce of an answer.
func (c *client) challenged(b []byte) {
	realm, _ := attribute(b, attrRealm)
	nonce, _ := attribute(b, attrNonce)
	c.nonce = bytes.Clone(nonce)
	if c.key == nil || !bytes.Equal(realm, c.realm) {
		c.realm = bytes.Clone(realm)
		key := md5.Sum([]byte(c.t.User + ":" + string(realm) + ":" + c.t.Password))
		c.key = key[:]
	}
}

// allocate makes an allocation and returns the address of its relay.
func (c *client) allocate(ctx context.Context) (netip.AddrPort, error) {
	const udp = 17 << 24
	b, err := c.call(ctx, allocateRequest, func(r request) request { return r.addUint32(attrRequestedTransport, udp) })
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("allocating: %w", err)
	}
	relay := addressOf(b, attrXORRelayedAddress)
	if mapped := addressOf(b, attrXORMappedAddress); !relay.IsValid() || mapped != localAddr(c.conn) {
		return relay, fmt.Errorf("allocating: got the addresses %v and, for %v, %v", relay, localAddr(c.conn), mapped)
	}
	return relay, nil
}

// permit installs a permission for a peer.
func (c *client) permit(ctx context.Context, peer netip.AddrPort) error {
	if _, err := c.call(ctx, permissionRequest, func(r request) request { return r.addPeer(peer) }); err != nil {
		return fmt.Errorf("permission for %v: %w", peer, err)
	}
	return nil
}

// bind binds a channel to a peer.
func (c *client) bind(ctx context.Context, channel uint16, peer netip.AddrPort) error {
	if _, err := c.call(ctx, channelBindRequest, func(r request) request {
		return r.addUint32(attrChannelNumber, uint32(channel)<<16).addPeer(peer)
	}); err != nil {
		return fmt.Errorf("channel to %v: %w", peer, err)
	}
	return nil
}

// free gives the allocation back.
func (c *client) free(ctx context.Context) error {
	if _, err := c.call(ctx, refreshRequest, func(r request) request { return r.addUint32(attrLifetime, 0) }); err != nil {
		return fmt.Errorf("giving back: %w", err)
	}
	return nil
}
