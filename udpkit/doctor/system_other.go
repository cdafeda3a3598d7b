//go:build !linux

package doctor

import (
	"context"
	"encoding/json"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
)

// Only Linux tells these without a program of its own.
func routes() []Route { return nil }

func datagrams() *Datagrams { return nil }

func neighbour(netip.Addr) (answered, known bool) { return false, false }

// ownersOf asks lsof, and PowerShell on Windows.
func ownersOf(ctx context.Context, port uint16) []Owner {
	number := strconv.Itoa(int(port))
	if runtime.GOOS != "windows" {
		out, _ := output(ctx, "lsof", "-nP", "-Fpc", "-iUDP:"+number)
		return parseLsof(out, port)
	}
	out, err := output(ctx, "powershell", "-NoProfile", "-Command",
		"ConvertTo-Json @(Get-NetUDPEndpoint -LocalPort "+number+" | ForEach-Object { @{ pid = $_.OwningProcess; process = (Get-Process -Id $_.OwningProcess).Name } })")
	var owners []Owner
	if err != nil || json.Unmarshal([]byte(out), &owners) != nil {
		return nil
	}
	return owners
}

// parseLsof reads lines of a letter and a value: p and a process, c and its command.
func parseLsof(text string, port uint16) (owners []Owner) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if pid, err := strconv.Atoi(strings.TrimPrefix(line, "p")); err == nil && strings.HasPrefix(line, "p") {
			owners = append(owners, Owner{PID: pid, Local: netip.AddrPortFrom(netip.IPv4Unspecified(), port)})
		} else if name, ok := strings.CutPrefix(line, "c"); ok && len(owners) > 0 {
			owners[len(owners)-1].Process = name
		}
	}
	return owners
}
