using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using NablaGen.Training.Text;
using NablaGen.Training.World;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

// Alone: these collect garbage, and TorchSharp's numbers (Scalar) may be freed under the hands of a test beside.
[Collection(nameof(AloneCollection))]
public class TextTrainerTests
{
    [Fact]
    public void The_order_of_words_is_learnt()
    {
        using var scope = NewDisposeScope();
        using var trainer = Toys.Text(new PairsSideBySide(), steps: 200, batch: 32);
        var losses = Toys.Advance(trainer, 200);
        TestContext.Current.SendDiagnosticMessage($"loss {losses[..5].Average():0.000} to {losses[190..].Average():0.000}; {trainer.Measure()}");
        Assert.InRange(losses[190..].Average(), 0, 0.7 * losses[..5].Average());

        using var noGrad = no_grad();
        Assert.Equal((ShapeKind.Ball, ShapeKind.Square), Shapes("a red ball to the left of a blue square"));
        Assert.Equal((ShapeKind.Square, ShapeKind.Ball), Shapes("a red ball to the right of a blue square"));
        Assert.Equal((ShapeKind.Square, ShapeKind.Ball), Shapes("a blue square to the left of a red ball"));
        Assert.True(trainer.Measure()[0].Share > 0.9);

        (ShapeKind First, ShapeKind Second) Shapes(string caption)
        {
            var shapes = trainer.Ask([caption]).Objects[0].narrow(1, 0, SceneAnswers.ObjectClasses[0]).argmax(1);
            return ((ShapeKind)shapes[0].item<long>(), (ShapeKind)shapes[1].item<long>());
        }
    }

    [Fact]
    public void An_encoder_that_is_blind_to_order_begins_to_look_anew()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var sizes = ModelSizes.Open(Toys.Box);
        using var encoder = new T5Encoder(sizes.Others.TextEncoder, ModuleOptions.Cpu);
        using var generator = new Generator(1);
        Initialization.Draw(encoder, generator);
        Assert.False(Initialization.IsBlindToOrder(encoder));
        var queries = encoder.named_parameters().First(item => item.name.EndsWith("attn.q.weight")).parameter;
        var words = encoder.named_parameters().First(item => item.name == "token_embedding.weight").parameter.clone();
        queries.mul_(20);
        Assert.True(Initialization.IsBlindToOrder(encoder));
        Initialization.DrawOrder(encoder, generator);
        Assert.False(Initialization.IsBlindToOrder(encoder));
        Assert.True(words.equal(encoder.named_parameters().First(item => item.name == "token_embedding.weight").parameter).all().item<bool>());
    }

    [Fact]
    public void A_caption_means_the_same_beside_a_longer_one()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var trainer = Toys.Text(new PairsSideBySide());
        const string Short = "a red ball", Long = "a video of a big red ball to the left of a small blue square on the beach";
        Golden.AssertClose(trainer.Ask([Short]).Objects[0], trainer.Ask([Short, Long]).Objects[0], 1e-5);
    }

    [Fact]
    public void Where_the_side_is_not_said_either_order_is_right()
    {
        using var scope = NewDisposeScope();
        var scene = new PairsSideBySide().SceneAt(0);
        using var free = SceneAnswers.Of([scene], [CaptionContent.None], CPU);
        using var bound = SceneAnswers.Of([scene], [CaptionContent.Sides], CPU);
        var (objects, scenes) = (Logits(free.Objects, SceneAnswers.ObjectClasses), Logits(free.Scenes, SceneAnswers.SceneClasses));
        Assert.Equal(0, Loss(objects, free), 1e-3);
        Assert.Equal(0, Loss(objects, bound), 1e-3);
        Assert.Equal(0, Loss(objects.flip(1), free), 1e-3);
        Assert.True(Loss(objects.flip(1), bound) > 1);

        float Loss(Tensor said, SceneAnswers answers) => MeaningLoss.Of(said, scenes, answers).Loss.item<float>();

        static Tensor Logits(Tensor answers, IReadOnlyList<int> classes) =>
            cat([.. classes.Select((count, i) => nn.functional.one_hot(answers.select(-1, i), count).to_type(ScalarType.Float32) * 20)], -1);
    }

    [Fact]
    public void Every_parameter_gets_a_gradient_and_the_files_begin_a_model()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using var world = new ShapeWorld(WorldSplit.Training);
        using var trainer = Toys.Text(world);
        var before = trainer.Parameters.Master.clone();
        Toys.Advance(trainer, 1);
        foreach (var (name, shape, start) in trainer.Parameters.Items.Where(item => !item.Name.Contains("bias")))
        {
            var count = shape.Aggregate(1L, (product, side) => product * side);
            Assert.False(before.narrow(0, start, count).equal(trainer.Parameters.Master.narrow(0, start, count)).all().item<bool>(), name);
        }

        trainer.Export(folder.Path);
        var sizes = ModelSizes.Open(folder.Path);
        using var transformer = new WanModel(sizes.Dit, ModuleOptions.Cpu);
        using var encoder = new T5Encoder(sizes.Others.TextEncoder, ModuleOptions.Cpu);
        ModelFiles.ReadDit(folder.Path, transformer);
        ModelFiles.ReadTextEncoder(folder.Path, encoder);
        // The heads are not the model's.
        using var file = SafetensorsFile.Open(Path.Combine(folder.Path, "models_t5_umt5-xxl-enc-bf16.safetensors"));
        Assert.Equal(encoder.named_parameters().Select(item => item.name).Order(), file.Entries.Keys.Order());
    }

    [Fact]
    public void A_resumed_training_is_the_uninterrupted_one()
    {
        using var folder = new TempFolder();
        using var world = new ShapeWorld(WorldSplit.Training);
        using var whole = Toys.Text(world);
        Toys.Advance(whole, 3);
        whole.Save(folder["state.safetensors"]);
        var expected = Toys.Advance(whole, 3);

        using var resumed = Toys.Text(world);
        resumed.Resume(folder["state.safetensors"]);
        Assert.Equal(expected, Toys.Advance(resumed, 3));
    }

    [Fact]
    public void Live_tensors_stay_as_many_over_the_steps()
    {
        using var world = new ShapeWorld(WorldSplit.Training);
        using var trainer = Toys.Text(world);
        Toys.Advance(trainer, 3);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Toys.Advance(trainer, 4);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
