//go:build !race

package xmppstream

const raceEnabled = false
