// Command stun is a STUN and TURN server of one listener package, with one user of its own.
package main

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"hash"
	"log"
	"net"

	"github.com/tidewaiter/tidewaiter/stun"
)

type account struct{ user, password string }

func (a account) HA1(_ context.Context, user, realm, algorithm string) ([]byte, error) {
	if user != a.user {
		return nil, stun.ErrNoAccount
	}
	digest := map[string]hash.Hash{"MD5": md5.New(), "SHA-256": sha256.New()}[algorithm]
	digest.Write([]byte(user + ":" + realm + ":" + a.password))
	return digest.Sum(nil), nil
}

func serve(ctx context.Context, pc net.PacketConn) error {
	o := stun.Defaults()
	o.UseTURN = true
	return stun.New(stun.Host{Accounts: account{"ana", "anchor"}}).ListenPacket(ctx, pc, o)
}

func main() {
	pc, err := net.ListenPacket("udp", "127.0.0.1:3478")
	if err == nil {
		log.Print("turn:127.0.0.1:3478 relays between clients on this machine (user ana, password anchor)")
		err = serve(context.Background(), pc)
	}
	log.Fatal(err)
}
