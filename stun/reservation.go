package stun

import (
	"crypto/rand"
	"net/netip"
	"sync"
	"time"
)

const (
	reservationLifetime = 30 * time.Second // RFC 8656, section 7.2
	maxReservations     = 1024             // of a server at once
)

// reservations are sockets that wait for the client who has their token. Each counts
// as an allocation of the address that made it.
type reservations struct {
	mu      sync.Mutex
	byToken map[[8]byte]*reservation
}

type reservation struct {
	l      *listener
	token  [8]byte
	socket relaySocket
	owner  netip.Addr
	timer  *time.Timer
}

// add reserves a socket; false: there is no room.
func (v *reservations) add(l *listener, s relaySocket, owner netip.Addr, most int) (token [8]byte, ok bool) {
	_, _ = rand.Read(token[:])
	if !l.srv.quota.take(owner, most) {
		return token, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.byToken) >= maxReservations {
		l.srv.quota.put(owner)
		return token, false
	}
	if v.byToken == nil {
		v.byToken = make(map[[8]byte]*reservation)
	}
	r := &reservation{l: l, token: token, socket: s, owner: owner}
	v.byToken[token] = r
	l.srv.stats.reservations.Add(1)
	l.running.Add(1)
	r.timer = time.AfterFunc(reservationLifetime, func() {
		defer l.running.Done()
		if v.remove(r) {
			r.close()
		}
	})
	return token, true
}

// take returns the socket of a token, for an allocation that counts for an address.
// code is why it cannot have it.
func (v *reservations) take(token [8]byte, by netip.Addr, most int) (s relaySocket, code int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.byToken[token]
	if r == nil {
		return s, codeCapacity
	}
	if by != r.owner && !r.l.srv.quota.take(by, most) {
		return s, codeQuota
	}
	delete(v.byToken, token)
	r.stop()
	r.l.srv.stats.reservations.Add(-1)
	if by != r.owner {
		r.l.srv.quota.put(r.owner)
	}
	return r.socket, 0
}

// remove says whether a reservation was there; it is not any more.
func (v *reservations) remove(r *reservation) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byToken[r.token] != r {
		return false
	}
	delete(v.byToken, r.token)
	return true
}

// cancel ends a reservation of which nobody was told.
func (v *reservations) cancel(token [8]byte) {
	v.mu.Lock()
	r := v.byToken[token]
	delete(v.byToken, token)
	v.mu.Unlock()
	if r != nil {
		r.stop()
		r.close()
	}
}

// drop ends the reservations of a listener.
func (v *reservations) drop(l *listener) {
	v.mu.Lock()
	var list []*reservation
	for token, r := range v.byToken {
		if r.l == l {
			delete(v.byToken, token)
			list = append(list, r)
		}
	}
	v.mu.Unlock()
	for _, r := range list {
		r.stop()
		r.close()
	}
}

// stop stops the timer of a reservation that was removed.
func (r *reservation) stop() {
	if r.timer.Stop() {
		r.l.running.Done() // otherwise it runs, and does so itself
	}
}

// close gives back what a reservation has that was removed.
func (r *reservation) close() {
	_ = r.socket.socket.Close()
	r.l.srv.stats.reservations.Add(-1)
	r.l.srv.quota.put(r.owner)
}
