using NablaGen.Tensors;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

public sealed class CheckpointLoaderTests : IDisposable
{
    private static readonly Dictionary<string, long[]> Expected = new() { ["weight"] = [2, 3], ["bias"] = [2] };

    private readonly RawFile _raw = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    [Fact]
    public void A_module_on_meta_gives_the_shapes()
    {
        using var module = nn.Linear(3, 2, device: META);
        Assert.Equal(Expected, module.Shapes());
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float64)]
    public void Loading_converts_to_the_modules_type(ScalarType type)
    {
        var weight = arange(6).reshape(2, 3).to(ScalarType.BFloat16);
        using var source = Save(("x.weight", weight), ("x.bias", tensor([0.5f, -1.25f])), ("other", ones(4)));
        using var module = nn.Linear(3, 2, dtype: type);
        CheckpointLoader.Load(source.Under("x."), module);
        Assert.True(module.weight!.requires_grad);
        Assert.Equal(type, module.weight!.dtype);
        Assert.True(module.weight.eq(weight.to(type)).all().item<bool>());
        Assert.Equal([0.5f, -1.25f], module.bias!.to(ScalarType.Float32).data<float>().ToArray());
    }

    [Fact]
    public void Loading_a_module_without_memory_is_refused()
    {
        using var source = Save(("weight", ones(2, 3)), ("bias", ones(2)));
        using var module = nn.Linear(3, 2, device: META);
        Assert.Contains("meta", Assert.Throws<ArgumentException>(() => CheckpointLoader.Load(source, module)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_keys_are_named()
    {
        using var source = Save(("m.weight", ones(2, 3)));
        RawFile.Fault(() => CheckpointLoader.Check(source.Under("m."), Expected), source.Path, "\"bias\"", "missing", "expected [2]", "found none");
    }

    [Fact]
    public void Unexpected_keys_are_named()
    {
        using var source = Save(("weight", ones(2, 3)), ("bias", ones(2)), ("extra", ones(7)), ("more", ones(1)), ("most", ones(1)));
        RawFile.Fault(() => CheckpointLoader.Check(source, Expected), source.Path, "\"extra\"", "not expected", "found F32 [7]", "and 2 more");
    }

    [Fact]
    public void A_wrong_shape_is_named()
    {
        using var source = Save(("weight", ones(3, 2)), ("bias", ones(2)));
        RawFile.Fault(() => CheckpointLoader.Check(source, Expected), source.Path, "\"weight\"", "shape", "expected [2, 3]", "found [3, 2]");
    }

    [Fact]
    public void A_wrong_type_is_named()
    {
        using var source = Save(("weight", ones(2, 3)), ("bias", ones(2, dtype: ScalarType.Int64)));
        RawFile.Fault(() => CheckpointLoader.Check(source, Expected), source.Path, "\"bias\"", "type", "expected real numbers", "found I64");
    }

    [Fact]
    public void All_kinds_of_fault_share_the_line()
    {
        using var source = Save(("weight", ones(3, 2)), ("extra", ones(7)));
        RawFile.Fault(() => CheckpointLoader.Check(source, Expected), "\"weight\"", "\"bias\"", "\"extra\"");
    }

    [Fact]
    public void Nothing_is_loaded_when_the_check_fails()
    {
        using var source = Save(("weight", ones(2, 3)));
        using var module = nn.Linear(3, 2);
        var before = module.weight!.detach().clone();
        RawFile.Fault(() => CheckpointLoader.Load(source, module), "\"bias\"");
        Assert.True(module.weight!.eq(before).all().item<bool>());
    }

    [Fact]
    public void Copying_to_another_shape_or_from_no_key_is_refused()
    {
        using var source = Save(("weight", ones(2, 3)));
        RawFile.Fault(() => source.CopyTo("weight", zeros(6)), source.Path, "\"weight\"", "expected [6]", "found [2, 3]");
        RawFile.Fault(() => source.Read("weights"), source.Path, "\"weights\"");
    }

    [Fact]
    public void Loading_leaves_no_tensor_behind()
    {
        using var source = Save(("weight", ones(2, 3)), ("bias", ones(2)));
        using var module = nn.Linear(3, 2, dtype: ScalarType.BFloat16);
        using var outer = NewDisposeScope();
        CheckpointLoader.Load(source, module);
        Assert.Equal(0, outer.DisposablesCount);
        Assert.False(module.weight!.IsInvalid);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Zeros_in_the_middle_of_a_row_are_a_download_that_was_not_finished(ScalarType type)
    {
        const int Rows = 1024, Columns = 4096;
        using var module = nn.Linear(Columns, Rows, hasBias: false, dtype: type);

        void Load(int from, int count)
        {
            var weight = ones(Rows, Columns);
            weight.view(-1).narrow(0, from, count).zero_();
            using var source = Save(("weight", weight));
            CheckpointLoader.Load(source, module);
        }

        // 36 KiB that begin, end, or do both inside a row; wherever they lie to the pieces that are read (8 MiB).
        foreach (var from in new[] { 100, (16 * Columns) - (5 * 1024), (800 * Columns) - 3000, (512 * Columns) - 12_000, (Rows * Columns) - 9216 - 100 })
        {
            RawFile.Fault(() => Load(from, 9216), "\"weight\"", "KiB of zeros", "in the middle of a row", "not finished");
        }

        // Whole rows, a whole matrix, and what is too short to tell.
        Load(100 * Columns, 20 * Columns);
        Load(510 * Columns, 4 * Columns);
        Load(0, Rows * Columns);
        Load(100, 4000);
    }

    [Fact]
    public void Rows_behind_a_side_of_one_are_rows()
    {
        const int Rows = 6, Columns = 9216;
        using var module = new Table(1, Rows, Columns);

        void Load(int from, int count)
        {
            var weight = ones(1, Rows, Columns);
            weight.view(-1).narrow(0, from, count).zero_();
            using var source = Save(("weight", weight));
            CheckpointLoader.Load(source, module);
        }

        // Of six modulations some are zeros before they are trained.
        Load(2 * Columns, Columns);
        Load(3 * Columns, 3 * Columns);
        RawFile.Fault(() => Load((2 * Columns) - 100, Columns), "\"weight\"", "KiB of zeros", "in the middle of a row");
    }

    [Fact]
    public void The_goldens_can_be_read()
    {
        using var golden = SafetensorsFile.Open(Path.Combine(GoldenFolder.Path, "dit.safetensors"));
        Assert.NotEmpty(golden.Metadata["config"]);
        var weights = golden.Entries.Values.Where(entry => entry.Name.StartsWith("weights.", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(weights);
        foreach (var entry in golden.Entries.Values)
        {
            using var value = golden.Read(entry.Name);
            Assert.Equal(entry.Shape, value.shape);
            Assert.Equal(entry.Type.ToScalarType(), value.dtype);
            if (entry.Type.IsFloating())
            {
                Assert.True(value.isfinite().all().item<bool>(), entry.Name);
            }
        }
    }

    public void Dispose()
    {
        _scope.Dispose();
        _raw.Dispose();
    }

    private sealed class Table : nn.Module
    {
        public Table(params long[] shape)
            : base(nameof(Table)) => register_parameter("weight", new TorchSharp.Modules.Parameter(zeros(shape)));
    }

    private SafetensorsFile Save(params (string Name, Tensor Value)[] tensors)
    {
        var path = _raw.At("model.safetensors");
        SafetensorsWriter.Write(path, tensors.Select(pair => KeyValuePair.Create(pair.Name, pair.Value)));
        return SafetensorsFile.Open(path);
    }
}
