package names

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheck(t *testing.T) {
	for _, name := range []string{"a", "Ann", "ann-2_b", strings.Repeat("x", MaxLen)} {
		assert.NoError(t, Check(name), name)
	}
	for _, name := range []string{"", "2ann", "-a", "an n", "änn", "аnn", "a\n", "a\x00", strings.Repeat("x", MaxLen+1), "127.0.0.1", "server", "s3rver", "Operator", "Operat0r", "op-erator", "adm1n"} {
		assert.Error(t, Check(name), name)
	}
}

func TestSkeleton(t *testing.T) {
	for _, pair := range [][2]string{{"ann", "ANN"}, {"bill", "b1ll"}, {"tom", "t0m"}, {"warm", "vvarrn"}, {"ann", "a-n_n"}, {"teacher", "t3acher"}, {"david", "clavid"}, {"matt", "m477"}} {
		assert.Equal(t, Skeleton(pair[0]), Skeleton(pair[1]), pair)
	}
	assert.NotEqual(t, Skeleton("ann"), Skeleton("anna"))
}

func FuzzCheck(f *testing.F) {
	for _, name := range []string{"ann", "", "änn", "a\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if Check(name) != nil {
			return
		}
		assert.LessOrEqual(t, len(name), MaxLen)
		for i := range len(name) {
			assert.Less(t, name[i], byte(0x80))
			assert.Greater(t, name[i], byte(' '))
		}
	})
}
