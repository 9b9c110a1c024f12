package wire_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

func TestSecretsThatAServerGivesOutAreHiddenToo(t *testing.T) {
	c, err := wire.New(wire.Config{Provider: "test", Base: "https://api.example", Secrets: []string{"pass/word"}})
	require.NoError(t, err)
	a, b := c.With("token one"), c.With("token-two")
	text := "pass/word, token one, token+one, token-two"
	assert.Equal(t, "[removed], token one, token+one, token-two", c.Error(intensity.KindAuth, "", "%s", text).Detail)
	assert.Equal(t, "[removed], [removed], [removed], token-two", a.Error(intensity.KindAuth, "", "%s", text).Detail)
	assert.Equal(t, "[removed], token one, token+one, [removed]", b.Error(intensity.KindAuth, "", "%s", text).Detail)
}
