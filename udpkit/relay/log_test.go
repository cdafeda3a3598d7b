package relay

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Clients that come and go forever do not fill the memory, and those that are there are not
// forgotten.
func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(100).(*memory)
		ctx := t.Context()
		const stays = ID(1)
		for i := range 5 * maxKnown {
			name, owner := fmt.Sprint("name", i), ID(i+2)
			require.NoError(t, m.Claim(ctx, name, owner, time.Minute)) // and never released
			require.NoError(t, m.SaveClient(ctx, ClientRecord{Username: name, Seen: time.Now()}))
			_, err := m.Append(ctx, []Record{{Run: owner, Number: 1, Username: name}})
			require.NoError(t, err)
			if i%1000 == 0 {
				require.NoError(t, m.Claim(ctx, "ann", stays, time.Minute))
				require.NoError(t, m.SaveClient(ctx, ClientRecord{Username: "ann", Seen: time.Now(), Next: 7}))
				_, err := m.Append(ctx, []Record{{Run: stays, Number: uint64(i/1000 + 1), Username: "ann"}})
				require.NoError(t, err)
			}
			time.Sleep(time.Minute / 2000)
		}
		assert.LessOrEqual(t, len(m.clients), maxKnown)
		assert.LessOrEqual(t, len(m.runs), maxKnown)
		assert.LessOrEqual(t, len(m.names), 2*2001+1024)
		assert.LessOrEqual(t, len(m.messages), 200)
		assert.ErrorIs(t, m.Claim(ctx, "ann", 5, time.Minute), ErrNameTaken)
		record, err := m.Client(ctx, 0, "ann")
		require.NoError(t, err)
		assert.EqualValues(t, 7, record.Next)
		last, _, err := m.Stored(ctx, stays, 1)
		require.NoError(t, err)
		assert.EqualValues(t, (5*maxKnown-1)/1000+1, last)
		last, _, err = m.Stored(ctx, 5*maxKnown+1, 1) // the newest
		require.NoError(t, err)
		assert.EqualValues(t, 1, last)
	})
}
