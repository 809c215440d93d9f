using NablaGen.Distributed;
using NablaGen.Memory;

namespace NablaGen.Jobs.Batch;

/// <summary>Another rank of a batch, which helps rank 0 with each row (<see cref="RowRanks"/>) and writes nothing.</summary>
public static class RowHelper
{
    /// <summary>Gets the prompt file that rank 0 has read.</summary>
    /// <param name="world">The ranks.</param>
    /// <exception cref="NablaGenException">Another rank has ended.</exception>
    public static PromptSource Receive(ICommunicator world) => RowCall.Prompts(world.Share([], isPatient: true)[0]);

    /// <summary>Helps with rows until there are no more.</summary>
    /// <param name="world">The ranks.</param>
    /// <param name="rows">The whole batch's, planned from the same prompt file.</param>
    /// <param name="pipelines">The rows' models; they keep what they load.</param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <exception cref="NablaGenException">This rank cannot do its part, or another has ended.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static void Follow(ICommunicator world, IReadOnlyList<BatchRow> rows, RowPipelines pipelines, CancellationToken cancellation)
    {
        while (RowCall.Row(world.Share([], isPatient: true)[0], rows) is { } row)
        {
            var pipeline = pipelines.Use(row);
            pipeline.World = world;
            try
            {
                pipeline.Assist(row.Request, cancellation);
            }
            catch (Exception error) when (IsShortage(error))
            {
                // The row is too large for this GPU: others may not be.
                throw new RankFaultException(RowMaker.Reason(error), isShortage: true, error);
            }
        }
    }

    private static bool IsShortage(Exception error)
    {
        var cause = error is NablaGenException && error.InnerException is { } inner ? inner : error;
        return MemoryFault.IsDeviceFull(cause) || MemoryFault.IsHostFull(cause);
    }
}
