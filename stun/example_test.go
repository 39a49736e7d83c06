package stun_test

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"net"

	"github.com/pion/turn/v2"

	"github.com/tidewaiter/tidewaiter/stun"
)

// users are accounts whose passwords are known.
type users map[string]string

func (u users) HA1(_ context.Context, user, realm, hash string) ([]byte, error) {
	password, ok := u[user]
	if !ok {
		return nil, stun.ErrNoAccount
	}
	text := []byte(user + ":" + realm + ":" + password)
	if hash == "MD5" {
		sum := md5.Sum(text)
		return sum[:], nil
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// A relay for users with a password, and a client that gets one.
func Example() {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	o := stun.Defaults()
	o.UseTURN = true
	o.AuthRealm = "example.org"

	server := stun.New(stun.Host{Accounts: users{"ana": "secret"}})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.ListenPacket(ctx, pc, o) }()

	if err := allocate(pc.LocalAddr().String()); err != nil {
		fmt.Println(err)
	}
	stop()
	fmt.Println(<-done)
	// Output:
	// a relay at 127.0.0.1
	// context canceled
}

func allocate(server string) error {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer conn.Close()
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server, TURNServerAddr: server, Conn: conn,
		Username: "ana", Password: "secret", Realm: "example.org",
	})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Listen(); err != nil {
		return err
	}
	relay, err := client.Allocate()
	if err != nil {
		return err
	}
	fmt.Println("a relay at", relay.LocalAddr().(*net.UDPAddr).IP)
	return relay.Close()
}
