using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

public sealed class ShardedCheckpointTests : IDisposable
{
    private readonly RawFile _raw = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public ShardedCheckpointTests()
    {
        Shard("m-00001-of-00002.safetensors", ("a", ones(2, 2)), ("b", full([3], 2f)));
        Shard("m-00002-of-00002.safetensors", ("c", full([1], 3f)));
    }

    [Fact]
    public void Tensors_come_from_their_shards()
    {
        using var source = ShardedCheckpoint.Open(Index("a:1 b:1 c:2"));
        Assert.Equal(["a", "b", "c"], source.Entries.Keys.Order());
        using var c = source.Read("c");
        Assert.Equal(3, c.item<float>());
        var target = zeros(2, 2, dtype: ScalarType.BFloat16);
        source.CopyTo("a", target);
        Assert.Equal(4, target.sum().to(ScalarType.Float32).item<float>());
        Assert.EndsWith("m-00002-of-00002.safetensors", source.FileOf("c"), StringComparison.Ordinal);
        Assert.Equal(3, source.Files.Count);
        RawFile.Fault(() => source.Read("d"), source.Path, "\"d\"");
    }

    [Fact]
    public void A_wrong_shape_names_the_shard()
    {
        using var source = ShardedCheckpoint.Open(Index("a:1 b:1 c:2"));
        RawFile.Fault(
            () => CheckpointLoader.Check(source, new Dictionary<string, long[]> { ["a"] = [2, 2], ["b"] = [3], ["c"] = [2] }),
            source.Path, "\"c\"", "expected [2]", "found [1]", "in m-00002-of-00002.safetensors");
    }

    [Fact]
    public void A_missing_shard()
    {
        var index = Index("a:1 b:1 c:2 d:3 e:3");
        RawFile.Fault(() => ShardedCheckpoint.Open(index), index, "shard \"m-00003-of-00002.safetensors\" is missing", "\"d\" and 1 more");
    }

    [Fact]
    public void A_key_that_its_shard_lacks()
    {
        var index = Index("a:1 b:1 c:2 d:2");
        RawFile.Fault(() => ShardedCheckpoint.Open(index), index, _raw.At("m-00002-of-00002.safetensors"), "\"d\"");
    }

    [Fact]
    public void A_key_that_the_index_lacks()
    {
        var index = Index("a:1 c:2");
        RawFile.Fault(() => ShardedCheckpoint.Open(index), index, _raw.At("m-00001-of-00002.safetensors"), "\"b\"", "does not list");
    }

    [Fact]
    public void A_key_in_two_shards()
    {
        Shard("m-00002-of-00002.safetensors", ("c", ones(1)), ("a", ones(2, 2)));
        var index = Index("a:1 b:1 c:2");
        RawFile.Fault(() => ShardedCheckpoint.Open(index), index, "\"a\"", "two shards", "\"m-00001-of-00002.safetensors\"");
    }

    [Fact]
    public void A_bad_shard_is_named()
    {
        var shard = _raw.Write("m-00002-of-00002.safetensors", RawFile.Bytes("no", 0));
        RawFile.Fault(() => ShardedCheckpoint.Open(Index("a:1 b:1 c:2")), shard, "not JSON");
    }

    [Theory]
    [InlineData("../m.safetensors")]
    [InlineData("..")]
    [InlineData("/etc/passwd")]
    [InlineData("sub/m.safetensors")]
    [InlineData("sub\\\\m.safetensors")]
    [InlineData("C:m.safetensors")]
    [InlineData("")]
    public void A_path_out_of_the_folder_is_refused(string file)
    {
        var index = _raw.Write("i.json", $$$"""{"weight_map":{"a":"{{{file}}}"}}""");
        RawFile.Fault(() => ShardedCheckpoint.Open(index), index, "\"a\"", "expected a file in the same folder", "found");
    }

    [Theory]
    [InlineData("nonsense", "not JSON")]
    [InlineData("[]", "weight_map")]
    [InlineData("{\"weight_map\":3}", "weight_map")]
    [InlineData("{\"weight_map\":{\"a\":3}}", "found a number")]
    [InlineData("{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "twice")]
    public void An_index_of_another_form_is_refused(string json, string part)
    {
        var index = _raw.Write("i.json", json);
        RawFile.Fault(() => ShardedCheckpoint.Open(index), index, part);
    }

    public void Dispose()
    {
        _scope.Dispose();
        _raw.Dispose();
    }

    private void Shard(string name, params (string Name, Tensor Value)[] tensors) =>
        SafetensorsWriter.Write(_raw.At(name), tensors.Select(pair => KeyValuePair.Create(pair.Name, pair.Value)));

    // "a:1 c:2": the key a is in the first shard, c in the second.
    private string Index(string map)
    {
        var pairs = map.Split(' ').Select(pair => pair.Split(':')).Select(pair => $"\"{pair[0]}\":\"m-0000{pair[1]}-of-00002.safetensors\"");
        return _raw.Write("m.safetensors.index.json", $$$"""{"metadata":{"total_size":32},"weight_map":{{{{string.Join(",", pairs)}}}}}""");
    }
}
