package stunconformance

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// life is all that a client does, several times over. It returns what went wrong.
func (c *client) life(p *peer, rounds int) error {
	expect := func(what string, m *message) error {
		if m == nil || m.class != success {
			return fmt.Errorf("%s: got %v, want success", what, m)
		}
		return nil
	}
	for range rounds {
		m := c.call(allocate, udp)
		if err := expect("Allocate", m); err != nil {
			return err
		}
		c.relay = m.addresses(atRelayed)[0]
		for _, err := range []error{
			expect("CreatePermission", c.call(createPermission, peerAddress(p.addr))),
			expect("ChannelBind", c.call(channelBind, channel(0x4000), peerAddress(p.addr))),
			expect("Refresh", c.call(refresh, lifetime(1200))),
		} {
			if err != nil {
				return err
			}
		}
		for range 10 {
			c.reachedOnChannel(p)
		}
		if err := expect("Refresh with LIFETIME 0", c.call(refresh, lifetime(0))); err != nil {
			return err
		}
		if m := c.call(refresh); m == nil || m.code() != 437 {
			return fmt.Errorf("Refresh after the end: got %v, want 437", m)
		}
	}
	return nil
}

// TestConcurrentClients has clients come, talk and go at the same time, and checks
// that each gets what is its own.
func TestConcurrentClients(t *testing.T) {
	w := onLoopback(t, func(s *setup) { s.options.MaxAllocations = 100 })
	var all sync.WaitGroup
	for i := range 16 {
		c, p := w.realClient(), w.realPeer()
		if i%2 == 1 {
			c.as("bob")
		}
		all.Go(func() {
			if err := c.life(p, 20); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// TestNoRequestIsLost has clients allocate and delete in turn, as fast as the answers
// come. With so few requests under way nothing is lost on loopback, so each is to be
// answered without being sent again.
func TestNoRequestIsLost(t *testing.T) {
	w := onLoopback(t, func(s *setup) { s.options.MaxAllocations = 100 })
	w.patience = 2 * time.Second
	var all sync.WaitGroup
	for i := range 16 {
		c := w.realClient()
		if i%2 == 1 {
			c.as("bob")
		}
		c.learn()
		all.Go(func() {
			for round := range 400 {
				if m := c.exchange(c.cr.sign(newMessage(allocate, request, udp))); m == nil {
					gone := c.exchange(c.cr.sign(newMessage(refresh, request)))
					t.Errorf("client %d, round %d: got no answer to Allocate; then, to Refresh: %v", i, round, gone)
					return
				}
				if m := c.exchange(c.cr.sign(newMessage(refresh, request, lifetime(0)))); m == nil {
					t.Errorf("client %d, round %d: got no answer to Refresh", i, round)
					return
				}
			}
		})
	}
	all.Wait()
}
