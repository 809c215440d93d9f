using System.Text;

namespace NablaGen.Jobs.Batch;

/// <summary>What the process that leads a group of GPUs is told by the one that started it: the prompt file, the word to go, and by its end, to stop.</summary>
public sealed class GroupInput : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _stop;
    private readonly ManualResetEventSlim _go = new();
    private readonly Action _giveUp;
    private bool _isOver;

    /// <summary>Waits for the prompt file.</summary>
    /// <param name="input">Where it is told.</param>
    /// <param name="giveUp">Ends this process, where its work does not look up after it was to stop.</param>
    /// <param name="cancellation">Stops the work, too.</param>
    /// <exception cref="OperationCanceledException">It is to stop already.</exception>
    public GroupInput(TextReader input, Action giveUp, CancellationToken cancellation)
    {
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _giveUp = giveUp;
        Prompts = input.ReadLine() is { } line ? RowCall.Prompts(Encoding.UTF8.GetBytes(line)) : throw new OperationCanceledException("there is nobody to lead a group for");
        new Thread(() => Listen(input)) { IsBackground = true, Name = "group" }.Start();
    }

    /// <summary>The prompt file.</summary>
    public PromptSource Prompts { get; }

    /// <summary>Is cancelled where the work is to stop.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>Waits until all groups know what there is to do.</summary>
    /// <exception cref="OperationCanceledException">It is to stop.</exception>
    public void WaitToGo() => _go.Wait(Token);

    /// <inheritdoc/>
    public void Dispose() => Volatile.Write(ref _isOver, true);

    private void Listen(TextReader input)
    {
        while (input.ReadLine() is not null)
        {
            _go.Set();
        }

        _stop.Cancel();
        Thread.Sleep(Patience);
        if (!Volatile.Read(ref _isOver))
        {
            _giveUp();
        }
    }
}
